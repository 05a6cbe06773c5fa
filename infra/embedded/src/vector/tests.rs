use coder_database::{Container, PartitionKey};
use rusqlite::Connection;

use super::*;
use crate::schema;

const ROWS: u32 = 3000;

fn table() -> Table {
    Table::new(&Container::new("c").vector("v", 3)).unwrap()
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    crate::key::register(&connection).unwrap();
    schema::create(&connection, std::path::Path::new("")).unwrap();
    schema::prepare(&connection, &table()).unwrap();
    connection
}

/// Vectors on a spiral: no two are alike.
fn point(number: u32) -> Vec<f32> {
    let turn = f64::from(number) / 100.0;
    #[expect(clippy::cast_possible_truncation, reason = "as the store keeps them")]
    let vector = [turn.sin(), turn.cos(), turn / 10.0].map(|number| number as f32);
    unit(&vector, table().container.vectors[0]).unwrap()
}

fn insert(connection: &Connection, partition: &str, numbers: impl IntoIterator<Item = u32>) {
    let mut statement = connection.prepare_cached(&table().sql.insert_vector).unwrap();
    for number in numbers {
        let row = (partition, format!("{number:06}"), "v", None::<i64>, to_blob(&point(number)));
        statement.execute(row).unwrap();
    }
}

fn search(connection: &Connection, copies: &Copies, partition: &str, number: u32) -> Vec<Hit> {
    let range = crate::partition::range(&PartitionKey::single(partition), 1);
    let search = Search::new(&table(), &range, "v", &point(number), 10, None, 0).unwrap();
    let (snapshot, hits) = search.run(connection, copies).unwrap();
    assert_eq!(hits, search.scan(&snapshot).unwrap(), "near {number}");
    hits
}

fn first(hits: &[Hit]) -> Option<&str> {
    hits.first().map(|hit| hit.id.as_str())
}

#[test]
fn a_copy_answers_as_a_scan_does_and_follows_what_is_new_and_gone() {
    let (connection, copies) = (database(), Copies::new(1 << 20));
    assert_eq!(search(&connection, &copies, "p", 7), []);
    insert(&connection, "p", 0..ROWS);
    insert(&connection, "q", 0..10);
    for number in (0..ROWS).step_by(100) {
        assert_eq!(first(&search(&connection, &copies, "p", number)), Some(format!("{number:06}").as_str()));
    }
    connection.execute("DELETE FROM v_c WHERE pk = 'p' AND id BETWEEN '000090' AND '000110'", []).unwrap();
    assert!(search(&connection, &copies, "p", 100).iter().all(|hit| hit.id != "000100" && hit.pk == "p"));
    insert(&connection, "p", [100]);
    assert_eq!(first(&search(&connection, &copies, "p", 100)), Some("000100"));
}

#[test]
fn a_large_copy_answers_as_a_scan_does() {
    let (connection, copies) = (database(), Copies::new(4 << 20));
    let rows = 20_000;
    connection.execute_batch("BEGIN").unwrap();
    insert(&connection, "p", 0..rows);
    connection.execute_batch("COMMIT").unwrap();
    for number in (0..rows).step_by(2500) {
        assert_eq!(first(&search(&connection, &copies, "p", number)), Some(format!("{number:06}").as_str()));
    }
}

#[test]
fn only_candidates_are_read_again() {
    let (connection, copies) = (database(), Copies::new(1 << 20));
    insert(&connection, "p", 0..ROWS);
    search(&connection, &copies, "p", 2000);
    // Nothing ever changes a row; here it shows that this one is not read.
    let change = "UPDATE v_c SET emb = ?1 WHERE id = '000001'";
    connection.execute(change, [to_blob(&point(2000))]).unwrap();
    let range = crate::partition::range(&PartitionKey::single("p"), 1);
    let search = Search::new(&table(), &range, "v", &point(2000), 10, None, 0).unwrap();
    let (snapshot, hits) = search.run(&connection, &copies).unwrap();
    assert!(hits.iter().all(|hit| hit.id != "000001"));
    assert!(search.scan(&snapshot).unwrap().iter().any(|hit| hit.id == "000001"));
}

#[test]
fn a_row_number_never_comes_again() {
    let (connection, copies) = (database(), Copies::new(1 << 20));
    insert(&connection, "p", 0..ROWS);
    search(&connection, &copies, "p", 5);
    // The newest goes, and one that is far away from it comes, as it would be where the newest was.
    connection.execute("DELETE FROM v_c WHERE n = (SELECT max(n) FROM v_c) OR id = '000005'", []).unwrap();
    insert(&connection, "p", [5]);
    assert_eq!(first(&search(&connection, &copies, "p", 5)), Some("000005"));
}

#[test]
fn a_copy_whose_rows_are_gone_is_read_anew() {
    let (connection, copies) = (database(), Copies::new(1 << 20));
    insert(&connection, "p", 0..ROWS);
    search(&connection, &copies, "p", 0);
    let full = copies.bytes();
    connection.execute("DELETE FROM v_c WHERE id > '000010'", []).unwrap();
    // Each of these asks for many rows in vain.
    for _ in 0..40 {
        search(&connection, &copies, "p", 2000);
    }
    assert!(copies.bytes() < full / 10, "{} of {full} bytes are left", copies.bytes());
    // So is one that grew by replacing.
    insert(&connection, "p", 11..ROWS);
    search(&connection, &copies, "p", 0);
    for _ in 0..3 {
        connection.execute("DELETE FROM v_c", []).unwrap();
        insert(&connection, "p", 0..ROWS);
        search(&connection, &copies, "p", 0);
    }
    assert!(copies.bytes() < full * 3, "{} bytes, {full} at first", copies.bytes());
}

#[test]
fn copies_keep_to_their_memory() {
    let connection = database();
    insert(&connection, "p", 0..1000);
    insert(&connection, "q", 0..1000);
    insert(&connection, "big", 0..ROWS);
    let row = VectorCopy::new(3).bytes(1);
    for most in [0, 100, 40_000, 1000 * row + 40_000, 1 << 20] {
        let copies = Copies::new(most);
        for partition in ["p", "q", "p", "big", "p", "q"] {
            search(&connection, &copies, partition, 500);
            assert!(copies.bytes() <= most, "{} of {most}", copies.bytes());
        }
        assert_eq!(copies.bytes() > 1000 * row, most > 1000 * row, "{most}");
    }
}

#[test]
fn the_dot_product_takes_any_length() {
    for length in [1, 3, 15, 16, 17, 48, 100] {
        let numbers: Vec<f32> = (0..length).map(|number: u16| f32::from(number) - 7.5).collect();
        let plain: f32 = numbers.iter().map(|number| number * number).sum();
        assert!((dot(&numbers, &to_blob(&numbers)) - plain).abs() <= plain * 1e-6, "{length}");
    }
}
