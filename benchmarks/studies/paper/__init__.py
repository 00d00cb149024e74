"""The locomotion study of Schulman et al. 2015 (Section 8.1), scaled to a million environment steps a run."""
