using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Host;

public enum StoreKind
{
    /// <summary>The embedded store that a launcher on this machine serves.</summary>
    Remote,
    Etcd,
    /// <summary>An etcd of the user's.</summary>
    External,
}

/// <summary>
/// What an agent must know before it can read the cluster's spec from the coordination store: <c>agent.json</c> in its
/// state directory, written by <c>up</c>, <c>lab</c> and <c>init</c>.
/// </summary>
public sealed record AgentConfiguration
{
    public required string Cluster { get; init; }
    public required NodeName Node { get; init; }
    /// <summary>Holds certificates (private parts 0600), logs and what must survive a restart.</summary>
    public required string StateDirectory { get; init; }
    /// <summary>Unix socket of the control API.</summary>
    public required string ControlSocket { get; init; }
    /// <summary>Unix socket on which the guard listens for its agent.</summary>
    public required string GuardSocket { get; init; }
    /// <summary>Addresses of this node on the private connection, one a link.</summary>
    public required IReadOnlyList<string> Private { get; init; }
    public required StoreKind Store { get; init; }
    /// <summary>Managed etcd: the first private address of every member, by node; empty with another store.</summary>
    public IReadOnlyDictionary<string, string> StoreMembers { get; set; } = new Dictionary<string, string>();
    /// <summary>Managed etcd that this node has yet to begin: the nodes that begin it together. Null: all of <see cref="StoreMembers"/>. Empty: it runs
    /// elsewhere, or did run here: this node joins it, and never begins another one, whatever becomes of its data.</summary>
    public IReadOnlyList<string>? StoreFounders { get; init; }
    /// <summary>The operator has said that this node's etcd data are gone: its old member is dropped when it joins.</summary>
    public bool StoreRejoins { get; init; }
    /// <summary>The cluster's file, to be committed as the first spec if the store holds none yet; null when it does.</summary>
    public string? FirstFile { get; init; }
    /// <summary><c>address:port</c> of each store endpoint.</summary>
    public required IReadOnlyList<string> StoreEndpoints { get; init; }
    /// <summary>External etcd over TLS: what it is known by, and what we show; null: plain text.</summary>
    public EtcdTls? StoreTls { get; init; }
    /// <summary>The interface that carries VIPs; null on a loopback cluster, where a VIP is a listener that moves.</summary>
    public string? PublicInterface { get; init; }
    /// <summary>Addresses of files applied later are mapped to loopback, as those of the first were (<c>up</c>, <c>demo</c>).</summary>
    public bool MappedToLoopback { get; init; }
    /// <summary>Where a Prometheus server may read metrics over plain HTTP: <c>ADDRESS:PORT</c> of loopback or of this node's private
    /// connection; null: on the control socket alone.</summary>
    public string? Metrics { get; init; }
    /// <summary>Where others' load balancers may ask for roles over plain HTTP: <c>ADDRESS:PORT</c> of this node, private or public; null: on the
    /// control socket alone.</summary>
    public string? Roles { get; init; }
    /// <summary>Where relative paths in the cluster's file begin.</summary>
    public required string WorkingDirectory { get; init; }

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="JsonException">It is not what <c>init</c>, <c>up</c> or <c>lab</c> wrote.</exception>
    public static AgentConfiguration Load(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentConfigurationJson.Default.AgentConfiguration)
        ?? throw new JsonException("the file holds null");

    public void Save(string path)
    {
        // Written aside and moved into place: a crash in between leaves the old file whole.
        var aside = path + ".new";
        File.WriteAllBytes(aside, ToBytes());
        File.Move(aside, path, overwrite: true);
    }

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, AgentConfigurationJson.Default.AgentConfiguration);
}

/// <summary>Ports of the private connection; the same on every node.</summary>
public static class PrivatePorts
{
    /// <summary>Agents' beats, TCP with mutual TLS.</summary>
    public const int Peer = 7801;
    /// <summary>Guards' datagrams, UDP.</summary>
    public const int Guard = 7802;
    /// <summary>An embedded store that is served to agents.</summary>
    public const int Store = 7803;
    /// <summary>Nodes' questions to each other (logs), HTTP with mutual TLS.</summary>
    public const int Desk = 7805;
    /// <summary>New nodes' enrolment, HTTPS; only on nodes that have the authority's key.</summary>
    public const int Enrolment = 7806;
    public const int EtcdClient = 2379;
    public const int EtcdPeer = 2380;
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(AgentConfiguration))]
internal sealed partial class AgentConfigurationJson : JsonSerializerContext;
