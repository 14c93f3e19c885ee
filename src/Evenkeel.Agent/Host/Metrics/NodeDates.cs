namespace Evenkeel.Agent.Host.Metrics;

/// <summary>Dates of this node that no other tells of.</summary>
/// <param name="CertificateEnds">Of the node's own certificate.</param>
/// <param name="AuthorityEnds">Of the newest authority that it trusts.</param>
/// <param name="HoldsStore">It takes snapshots of the store.</param>
/// <param name="Snapshot">When it took the last one; null: none yet.</param>
internal sealed record NodeDates(DateTimeOffset CertificateEnds, DateTimeOffset AuthorityEnds, bool HoldsStore, DateTimeOffset? Snapshot);
