"""HAVE we answered this already?"""
