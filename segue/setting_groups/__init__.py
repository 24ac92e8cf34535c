"""Settings by subject, where there are many of one: ``segue.settings.Settings`` has them all.

Each group is read as part of ``Settings``, never by itself.
"""
