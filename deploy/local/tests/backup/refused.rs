//! What is damaged, or lacks something, is refused before anything is written.

use std::{fs, path::Path};

use crate::{
    desk::{Desk, text},
    town::empty,
};

/// Something that befalls a file, and what it is.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 3] = [
    ("a flipped bit", |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("a lost half", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("no file", |path| fs::remove_file(path).unwrap()),
];

/// The folder of a backup of a system without people.
fn backed_up(desk: &mut Desk) -> String {
    empty(desk);
    let outcome = desk.done(&["backup", "backups"]);
    desk.down();
    text(&outcome["backup"]["folder"]).to_owned()
}

#[test]
fn a_damaged_backup_is_refused_before_anything_is_written() {
    let mut desk = Desk::new();
    let folder = backed_up(&mut desk);
    let keys = "county/keys.toml";
    let restore = ["restore", &folder, "--data-dir", "restored", "--keys", keys];
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let sound = fs::read(&path).unwrap();
        for (damage, befall) in DAMAGES {
            befall(&path);
            let (code, told) = desk.fails(&restore);
            let name = path.file_name().unwrap().to_string_lossy();
            assert_eq!(code, 1, "{name}: {damage}: {told}");
            let about = told.contains(&*name) || told.contains("is no backup");
            assert!(about, "{name}: {damage}: {told}");
            assert!(!desk.path("restored").exists(), "{name}: {damage}");
            fs::write(&path, &sound).unwrap();
        }
    }
    assert_eq!(desk.done(&restore)["erasures"]["named"], 0);
}

#[test]
fn a_restore_needs_keys_a_list_of_erasures_and_an_empty_folder() {
    let mut desk = Desk::new();
    let folder = backed_up(&mut desk);
    let list = desk.path("backups/erasures.json");
    let restore = ["restore", &folder, "--data-dir", "restored"];
    let with_keys = [&restore[..], &["--keys", "county/keys.toml"]].concat();
    let (code, told) = desk.fails(&restore);
    assert!(code == 1 && told.contains("--keys"), "{told}");
    let (code, told) = desk.fails(&["restore", &folder]);
    assert!(code == 1 && told.contains("holds a system"), "{told}");
    let (code, told) = desk.fails(&["restore", "backups"]);
    assert!(code == 1 && told.contains("is no backup"), "{told}");

    let sound = fs::read_to_string(&list).unwrap();
    fs::write(&list, sound.replacen('{', "[", 1)).unwrap();
    let (code, told) = desk.fails(&with_keys);
    assert!(code == 1 && told.contains("is damaged"), "{told}");
    fs::remove_file(&list).unwrap();
    let (code, told) = desk.fails(&with_keys);
    assert!(code == 1 && told.contains("--erasures-unknown"), "{told}");
    assert!(!desk.path("restored").exists());
    let anyway = [&with_keys[..], &["--erasures-unknown"]].concat();
    assert!(desk.table(&anyway).contains("REGISTRY"));
}

#[test]
fn what_is_left_out_begins_anew_beyond_all_former_positions() {
    let mut desk = Desk::new();
    empty(&mut desk);
    let outcome = desk.done(&["backup", "backups", "--without", "SIGNALS"]);
    desk.down();
    let streams = outcome["backup"]["streams"].as_array().unwrap();
    let left_out: Vec<_> = streams
        .iter()
        .filter(|one| one["bytes"].is_null())
        .collect();
    assert_eq!(left_out.len(), 1);
    let folder = text(&outcome["backup"]["folder"]);
    assert!(!Path::new(folder).join("SIGNALS.snapshot").exists());
    // What has not expired stays.
    let pruned = desk.done(&["backup", "backups", "--prune"]);
    assert!(pruned["removed"].as_array().unwrap().is_empty(), "{pruned}");
    assert!(Path::new(folder).exists());
    let keys = "county/keys.toml";
    let restore = ["restore", folder, "--data-dir", "restored", "--keys", keys];
    let restored = desk.done(&[&restore[..], &["--without", "FEEDS"]].concat());
    for stream in restored["streams"].as_array().unwrap() {
        let anew = ["SIGNALS", "FEEDS"].contains(&text(&stream["name"]));
        assert_eq!(stream["restored"], !anew, "{stream}");
        let last = stream["last_sequence"].as_u64().unwrap();
        assert_eq!(last >= 1 << 32, anew, "{stream}");
    }
    desk.up_with(&["--empty", "--data-dir", "restored"]);
    let verified = desk.done(&["verify", "--data-dir", "restored"]);
    assert_eq!(verified["equal"], true, "{verified}");
    desk.down();
}
