using System.Text.Json.Serialization;

namespace Evenkeel.Core.Model;

/// <summary>What runs the service. One subtype per driver.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "driver")]
[JsonDerivedType(typeof(ProcessDriverSpec), "process")]
[JsonDerivedType(typeof(PostgreSqlDriverSpec), "postgresql")]
[JsonDerivedType(typeof(OcfDriverSpec), "ocf")]
[JsonDerivedType(typeof(SystemdDriverSpec), "systemd")]
[JsonDerivedType(typeof(VolumeDriverSpec), "volume")]
public abstract record DriverSpec
{
    /// <summary>The port on the private address at which the balancer reaches an instance; null when nothing is published.</summary>
    public int? Port { get; init; }
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(10);
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(30);
}

public sealed record ProcessDriverSpec : DriverSpec
{
    /// <summary>Program and arguments; placeholders <c>{private} {public} {node} {port}</c> are filled in where it runs.</summary>
    public required IReadOnlyList<string> Command { get; init; }
    public IReadOnlyDictionary<string, string> Environment { get; set; } = new Dictionary<string, string>();
    public string? WorkingDirectory { get; init; }
    public string? User { get; init; }
    public string StopSignal { get; set; } = "TERM";
    /// <summary>Brings the data in place before each start of <see cref="Command"/>, under the same right; null where nothing is to be done.</summary>
    public IReadOnlyList<string>? Prepare { get; init; }
    /// <summary>Commands for warm services; null where not given.</summary>
    public IReadOnlyList<string>? Promote { get; init; }
    public IReadOnlyList<string>? Demote { get; init; }
}

/// <summary>A PostgreSQL cluster: one primary, standbys by streaming replication over the private addresses.</summary>
public sealed record PostgreSqlDriverSpec : DriverSpec
{
    /// <summary>The data directory; <c>{node}</c> is filled in.</summary>
    public required string Data { get; init; }
    /// <summary>Directory of <c>postgres</c>, <c>initdb</c>, <c>pg_basebackup</c> and <c>pg_rewind</c>; null where the driver shall look for them.</summary>
    public string? Binaries { get; init; }
    /// <summary>The operating system's user that it runs as; never root.</summary>
    public string User { get; set; } = "postgres";
    /// <summary>Settings of <c>postgresql.conf</c>; those that replication depends on are ours.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; set; } = new Dictionary<string, string>();
    /// <summary>Lines of <c>pg_hba.conf</c>, after ours.</summary>
    public IReadOnlyList<string> HostBasedAuthentication { get; set; } = [];
    /// <summary>More arguments for <c>initdb</c>.</summary>
    public IReadOnlyList<string> InitialiseWith { get; set; } = [];
    /// <summary>Puts data into the empty directory of a node that is to own the service and has none, though the cluster had some; null: the start fails.</summary>
    public IReadOnlyList<string>? Restore { get; init; }
    /// <summary>Run after a start, a stop in order, and a change of role, with what happened, the role and the service's name as arguments; null where not given.</summary>
    public IReadOnlyList<string>? OnChange { get; init; }
    /// <summary>Hot: how many standbys each commit waits for.</summary>
    public int SynchronousStandbys { get; set; } = 1;
    /// <summary>Hot: each commit waits for any <see cref="SynchronousStandbys"/> of all standbys, whichever are fastest, instead of for named ones.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Quorum { get; init; }
    /// <summary>Hot: without a synchronous standby commits wait, instead of going on with one copy.</summary>
    public bool Strict { get; init; }
    /// <summary>Warm: a standby that lacks more bytes than this is not promoted by itself; null for no limit.</summary>
    public long? MostLag { get; init; }
}

/// <summary>A stock OCF resource agent, run unchanged.</summary>
public sealed record OcfDriverSpec : DriverSpec
{
    /// <summary><c>provider:type</c>, such as <c>heartbeat:redis</c>.</summary>
    public required string Agent { get; init; }
    public IReadOnlyDictionary<string, string> Parameters { get; set; } = new Dictionary<string, string>();
    /// <summary>Time between two monitor actions.</summary>
    public TimeSpan MonitorEvery { get; set; } = TimeSpan.FromSeconds(1);
    public TimeSpan MonitorTimeout { get; set; } = TimeSpan.FromSeconds(20);
    public TimeSpan PromoteTimeout { get; set; } = TimeSpan.FromSeconds(30);
    /// <summary>Agents are told nodes' first private addresses as their names: for agents that connect to a node by its name.</summary>
    public bool NodesByAddress { get; init; }
}

/// <summary>A systemd unit.</summary>
public sealed record SystemdDriverSpec : DriverSpec
{
    /// <summary>With its suffix, such as <c>reports.service</c>.</summary>
    public required string Unit { get; init; }
}
