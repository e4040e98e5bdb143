"""Speed, memory and error of crfrnn beside its peers; see README.md."""
