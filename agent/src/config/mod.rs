//! Text -> Config.

mod model;
pub mod quantity;

pub use model::*;
