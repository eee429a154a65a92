"""HOW do those fare who may answer?"""
