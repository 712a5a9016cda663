"""The command model at run time: a bundle of files to segments that say what the words are taken for."""
