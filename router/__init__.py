"""WHICH tier answers?"""
