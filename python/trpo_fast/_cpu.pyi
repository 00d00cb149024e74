x86_64_level: int
