"""The profiles that come with the package, as YAML files; `watari.corpus.rules.profile` reads them."""
