"""Where rows come from: arrays, files, frames, loaders."""
