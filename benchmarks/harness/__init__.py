"""What every benchmark uses: measuring, the machine, options, records and reports."""
