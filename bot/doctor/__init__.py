"""`deepselfie doctor`: is all there that the bot needs, and what is to be done where it is not?"""
