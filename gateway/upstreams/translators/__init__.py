"""From one shape of request and answer to another, one file a pair, named `<caller's shape>_to_<upstream's shape>`."""
