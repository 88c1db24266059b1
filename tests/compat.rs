//! `COMPAT.md` tells the truth about which commands there are.

#[test]
fn the_table_of_commands_is_as_the_program_has_it() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/COMPAT.md")).unwrap();
    assert!(
        text.contains(&engine::compat::command_table()),
        "COMPAT.md's table is out of date: put what `cargo run -p engine --example compat` prints in its place"
    );
}
