"""Objects by name below a root, in a folder or in a Cloud Storage bucket: landing files, scratch, cursors."""
