"""The status page: one page without a script for the admin, from what the store holds.

overview    reads the store, in a thread
attention   says what of it needs somebody
page        puts the page together, of tables, charts and words
access      says who may see it
resource    answers the request
"""
