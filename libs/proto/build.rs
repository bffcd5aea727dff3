//! Turns every contract under `proto/` into Rust, without a protobuf compiler installed.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    // Asked when it runs: the tree may have moved since this script was compiled.
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Cargo looks through a folder recursively, so new files are noticed too. Pages beside the contracts are no reason to
    // compile everything anew.
    let watched = root.join("eldercare");
    println!("cargo:rerun-if-changed={}", watched.display());

    let mut contracts = Vec::new();
    find_contracts(&root, &mut contracts)?;
    // The same order on every machine gives the same bytes.
    contracts.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&contracts)?;
    let with_comments = compiler.file_descriptor_set();

    let mut config = Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".")
        .include_file("packages.rs")
        .compile_fds_with_config(with_comments, config)?;

    // Reflection serves names and types; comments would only make it larger.
    compiler.include_source_info(false);
    fs::write(
        out.join("file_descriptor_set.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    Ok(())
}

fn find_contracts(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_contracts(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    Ok(())
}
