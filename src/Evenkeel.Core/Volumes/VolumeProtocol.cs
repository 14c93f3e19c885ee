using System.Text.Json.Serialization;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Volumes;

// What an agent and the two processes of a volume on its node say to each other over Unix sockets, one JSON object a line. The
// server of a leg runs without a lease; the writer under the volume's, so that its guard ends it. Both outlive the agent.

/// <summary>How a leg's server is started.</summary>
/// <param name="Bytes">Size of the leg's file where it must be made.</param>
/// <param name="Addresses">Private addresses to serve at, under mutual TLS.</param>
/// <param name="LocalSocket">Where the writer of this node reaches it.</param>
/// <param name="ControlSocket">Where the agent does.</param>
/// <param name="Certificates">The directory of the node's certificate; null in tests alone: no TLS, loopback.</param>
public sealed record LegSettings(
    string Volume, string Path, long Bytes, IReadOnlyList<string> Addresses, int Port, string LocalSocket, string ControlSocket, string? Certificates);

/// <summary>To a leg's server.</summary>
/// <param name="Data">The volume's data as committed: the leg is not made anew from now on. Null before there is any.</param>
/// <param name="Writers">The nodes that have a leg: no other may write. Null from an agent that does not say: any node of the cluster.</param>
public sealed record LegOrder(string? Data, IReadOnlyList<NodeName>? Writers = null);

/// <summary>What a leg's server sees of its leg.</summary>
public sealed record LegReport
{
    /// <summary>The highest under which it was written.</summary>
    public Epoch Epoch { get; init; }
    /// <summary>The committed name of its data, as it was told; null before.</summary>
    public string? Data { get; init; }
    /// <summary>Of its array's metadata.</summary>
    public long Events { get; init; }
    /// <summary>By its own metadata it has everything (it may have missed what came after).</summary>
    public bool Complete { get; init; }
    /// <summary>Why it cannot be served; null when it is.</summary>
    public string? Problem { get; init; }
    /// <summary>Whom it turned away for the certificate, the last few: its agent names them on the audit trail.</summary>
    public IReadOnlyList<LegRefusal> Refused { get; set; } = [];
}

/// <summary>A stranger at a leg.</summary>
/// <param name="At">Monotonic ticks of this machine, greater than those of any before.</param>
/// <param name="From">Address and port, where known.</param>
public sealed record LegRefusal(long At, string? From, string Reason);

/// <summary>Where a leg is served.</summary>
public sealed record LegPlace(NodeName Node, IReadOnlyList<string> Addresses);

/// <summary>How a writer is started.</summary>
/// <param name="Node">Its own node, which has a leg.</param>
/// <param name="Initialise">No data is committed yet: where there is none, it makes it.</param>
/// <param name="Data">The only data that it may use; null while none is committed.</param>
/// <param name="DeviceFile">Shows the array as this file.</param>
public sealed record WriterSettings(
    VolumeSpec Volume, NodeName Node, Epoch Epoch, bool Initialise, string? Data, string? MountAt, IReadOnlyList<LegPlace> Legs,
    string LocalSocket, string ControlSocket, string ExportSocket, string DeviceFile, string? Certificates);

/// <summary>To a writer; each replaces the one before.</summary>
public sealed record WriterOrder
{
    /// <summary>Of the writer that is meant: another one does not listen. What was right for one owner could cost another its writes.</summary>
    public Epoch Epoch { get; init; }
    /// <summary>The legs of other nodes that each write waits for. What is left out is put out; what is new gets what it lacks.</summary>
    public IReadOnlyList<NodeName> Required { get; set; } = [];
    /// <summary>The legs of other nodes that get writes after the answer.</summary>
    public IReadOnlyList<NodeName> Asynchronous { get; set; } = [];
    /// <summary>Those of them that must lack no more than their backlog: one that fell behind keeps writes waiting until it is named no more.</summary>
    public IReadOnlyList<NodeName> Held { get; set; } = [];
    /// <summary>For legs that are taken in from now on.</summary>
    public long Backlog { get; set; } = VolumeSpec.StandardBacklog;
    public bool Block { get; init; }
    public long? SyncRate { get; init; }
    /// <summary>Grows with each verification that is asked for.</summary>
    public long Verify { get; init; }
    /// <summary>The verification also makes the legs equal, after the first that has the data.</summary>
    public bool Repair { get; init; }
}

public enum WriterPhase
{
    /// <summary>For the legs that it must wait for.</summary>
    Waiting,
    /// <summary>The array runs; the file system is being made, checked or mounted.</summary>
    Mounting,
    Mounted,
}

/// <summary>What a writer sees.</summary>
public sealed record WriterReport
{
    public WriterPhase Phase { get; init; }
    /// <summary>In effect: each write waits for these.</summary>
    public IReadOnlyList<NodeName> Required { get; set; } = [];
    /// <summary>Those of <see cref="Required"/> that have everything.</summary>
    public IReadOnlyList<NodeName> Synchronous { get; set; } = [];
    /// <summary>Legs that answer, and may be used.</summary>
    public IReadOnlyList<NodeName> Followers { get; set; } = [];
    public IReadOnlyList<AsynchronousLeg> Asynchronous { get; set; } = [];
    /// <summary>Names the data, once mounted.</summary>
    public string? Data { get; init; }
    /// <summary>resync, rebuild, check, repair or idle.</summary>
    public string Activity { get; set; } = "idle";
    public long DoneBytes { get; init; }
    public long TotalBytes { get; init; }
    /// <summary>The verification that ended last (see <see cref="WriterOrder.Verify"/>), and how many sectors disagreed.</summary>
    public long Verified { get; init; }
    public long? Mismatches { get; init; }
    /// <summary>Requests that wait for a leg to be put out.</summary>
    public int Frozen { get; init; }
    /// <summary>What goes on, or why it ended.</summary>
    public string Detail { get; set; } = "";

    public bool Equals(WriterReport? other) => other is not null && Phase == other.Phase && Required.SequenceEqual(other.Required) && Synchronous.SequenceEqual(other.Synchronous)
        && Followers.SequenceEqual(other.Followers) && Asynchronous.SequenceEqual(other.Asynchronous) && Data == other.Data && Activity == other.Activity && DoneBytes == other.DoneBytes && TotalBytes == other.TotalBytes
        && Verified == other.Verified && Mismatches == other.Mismatches && Frozen == other.Frozen && Detail == other.Detail;

    public override int GetHashCode() => HashCode.Combine(Phase, Required.Count, Synchronous.Count, Followers.Count, DoneBytes, Verified, Detail);
}

/// <summary>Source-generated JSON of the protocol.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LegSettings))]
[JsonSerializable(typeof(LegOrder))]
[JsonSerializable(typeof(LegReport))]
[JsonSerializable(typeof(WriterSettings))]
[JsonSerializable(typeof(WriterOrder))]
[JsonSerializable(typeof(WriterReport))]
public sealed partial class VolumeJson : JsonSerializerContext;
