"""The main job on recorded sentences, in a virtual house."""
