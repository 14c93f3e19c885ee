namespace Evenkeel.Services.Ocf.Attributes;

/// <summary>Which attribute: of a node until its next boot, of a node for ever, what a node has to give, or of the cluster.</summary>
public readonly record struct AttributeKey(string Scope, string Name)
{
    private const string ClusterScope = "cluster";

    public static AttributeKey Transient(string node, string name) => new("reboot." + node, name);
    public static AttributeKey Permanent(string node, string name) => new("forever." + node, name);
    public static AttributeKey Utilisation(string node, string name) => new("utilisation." + node, name);
    public static AttributeKey OfCluster(string name) => new(ClusterScope, name);
    /// <summary>The promotion score of a resource on a node (<c>crm_master</c>).</summary>
    public static AttributeKey Score(string node, string resource) => Transient(node, "master-" + resource);

    public bool IsTransient => Scope.StartsWith("reboot.", StringComparison.Ordinal);
    public bool IsOfCluster => Scope == ClusterScope;
    /// <summary>Null for the cluster's.</summary>
    public string? Node => IsOfCluster ? null : Scope[(Scope.IndexOf('.', StringComparison.Ordinal) + 1)..];
}

/// <summary>What stock agents remember through the cluster's tools. Safe to call concurrently.</summary>
public interface IAttributes
{
    Task<string?> GetAsync(AttributeKey key, CancellationToken cancellation);

    /// <summary>Null deletes.</summary>
    /// <exception cref="IOException">It could not be kept.</exception>
    Task SetAsync(AttributeKey key, string? value, CancellationToken cancellation);

    Task<IReadOnlyDictionary<AttributeKey, string>> AllAsync(CancellationToken cancellation);
}
