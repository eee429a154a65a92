"""IN WHICH ORDER are a tier's candidates asked?"""
