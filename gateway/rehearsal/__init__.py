"""Requests tried against a settings file, without any upstream."""
