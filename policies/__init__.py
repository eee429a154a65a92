"""MAY this request go on, and changed how?"""
