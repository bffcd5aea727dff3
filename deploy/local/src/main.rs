//! The program `eldercare`.
fn main() {}
