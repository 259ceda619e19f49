//! Text -> Config.

mod model;

pub use model::*;
