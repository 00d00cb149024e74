"""The Atari games of Schulman et al. 2015 (Table 1), and what decides how fast they are learned."""
