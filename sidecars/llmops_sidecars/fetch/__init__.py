"""Fills a directory with one commit of a model from the Hugging Face hub: weights, configuration, tokenizer, no code.

    list the commit --> fetch each wanted file under another name, going on where the last attempt stopped
                    --> check size and digest --> rename
                    --> when all are there: the mark, which makes the next run do nothing

    command      the flags, and the exit status      directory    the files, the lock and the mark
    download     the order of things, and retries    hub          the protocol: two calls, redirects, statuses
    files        which files                         addresses    where a redirect may lead

`huggingface_hub` would bring fifteen packages into the image and leave the choice of files, lock and mark to us.
"""

from llmops_sidecars.fetch.command import main

__all__ = ["main"]
