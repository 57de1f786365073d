//! The schema of the main config that ships, held against the types.

use super::file::ConfigFile;
use crate::written::assert_is_shipped;

#[test]
fn the_shipped_schema_is_what_the_types_say() {
    assert_is_shipped::<ConfigFile>("config/dipcache.schema.json");
}
