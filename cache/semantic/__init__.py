"""MAY an earlier answer be given to a question that is only like the one it was made for?"""
