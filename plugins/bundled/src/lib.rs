//! Not built yet; see ARCHITECTURE.md.

/// A plugin.
pub struct Bundled {
    /// Name.
    pub name: &'static str,
    /// Bytes.
    pub component: &'static [u8],
}

/// All.
pub const PLUGINS: &[Bundled] = &[];
