namespace Evenkeel.Core.Model;

/// <summary>One leg of a volume: a file or block device on a node that holds a share of the volume's data.</summary>
/// <param name="Path">Absolute; a file that is not there is made.</param>
public sealed record VolumeLeg(NodeName Node, string Path)
{
    public override string ToString() => $"{Node}:{Path}";
}

/// <summary>Storage whose every acknowledged write is on the legs of several nodes. One node writes at a time: the one that runs the service.</summary>
public sealed record VolumeSpec
{
    public required string Name { get; init; }
    /// <summary>1, or 10 (near 2): neighbours in <see cref="Legs"/> are copies of each other.</summary>
    public required int Level { get; init; }
    /// <summary>Bytes that the file system gets, a multiple of 1 MiB.</summary>
    public required long Size { get; init; }
    /// <summary>At most one on a node, in the order of the array's slots.</summary>
    public required IReadOnlyList<VolumeLeg> Legs { get; init; }
    /// <summary>On the private addresses: where legs are served.</summary>
    public int Port { get; set; } = 7820;
    /// <summary>Made on it when the volume is new: <c>ext4</c> or <c>xfs</c>.</summary>
    public string FileSystem { get; set; } = "ext4";
    /// <summary>A leg that does not answer a request for this long counts as lost; I/O waits meanwhile.</summary>
    public TimeSpan LegTimeout { get; set; } = TimeSpan.FromSeconds(2);
    /// <summary>Writes wait while fewer legs than a majority have them, instead of going on with those that are left.</summary>
    public bool Strict { get; init; }
    /// <summary>
    /// The nodes whose legs are written after the answer, unless the writer is there. They have what the volume was at some moment of the
    /// past, at most <see cref="Backlog"/> ago; the others alone keep what was promised.
    /// </summary>
    public IReadOnlyList<NodeName> Asynchronous { get; set; } = [];
    /// <summary>Bytes of acknowledged writes that an asynchronous leg may lack before it falls behind.</summary>
    public long Backlog { get; set; } = StandardBacklog;
    /// <summary>A write that finds the backlog full waits, while the leg's line gets on; else the leg falls behind.</summary>
    public bool BlockOnCongestion { get; init; }
    /// <summary>
    /// With no leg in sync left, the volume goes on at an asynchronous one that lacks no more than <see cref="Backlog"/>: what it lacks is
    /// lost. Else only a leg in sync is taken over on.
    /// </summary>
    public bool AcceptLoss { get; init; }
    public const long StandardBacklog = 64 << 20;

    /// <summary>Bytes a second that a resync or verify may move; null for no limit.</summary>
    public long? SyncRate { get; init; }

    /// <summary>The volume as what the cluster keeps running: its writer is the active instance, the servers of its legs are the standbys.</summary>
    /// <param name="mountAt">Where its writer mounts it.</param>
    public ServiceSpec AsService(string? mountAt) => new()
    {
        Name = ResourceId.Volume(Name).Value,
        Redundancy = Redundancy.Hot,
        Activity = Activity.SingleActive,
        Instances = Legs.Count,
        Driver = new VolumeDriverSpec { Volume = this, MountAt = mountAt, StartTimeout = TimeSpan.FromMinutes(5), StopTimeout = TimeSpan.FromSeconds(60) },
    };

    public bool Equals(VolumeSpec? other) => other is not null && Name == other.Name && Level == other.Level && Size == other.Size && Legs.SequenceEqual(other.Legs)
        && Port == other.Port && FileSystem == other.FileSystem && LegTimeout == other.LegTimeout && Strict == other.Strict && SyncRate == other.SyncRate
        && Asynchronous.SequenceEqual(other.Asynchronous) && Backlog == other.Backlog && BlockOnCongestion == other.BlockOnCongestion && AcceptLoss == other.AcceptLoss;

    public override int GetHashCode() => HashCode.Combine(Name, Level, Size, Legs.Count);

    public bool IsAsynchronous(NodeName node) => Asynchronous.Contains(node);

    /// <summary>Whether every byte has a copy on one of these nodes.</summary>
    public bool IsWholeOn(IReadOnlyCollection<NodeName> nodes)
    {
        if (Level == 1) return Legs.Any(leg => nodes.Contains(leg.Node));
        // Near 2: chunk c lies on slots 2c and 2c + 1, counted round the members.
        return Enumerable.Range(0, Legs.Count).All(chunk =>
            nodes.Contains(Legs[2 * chunk % Legs.Count].Node) || nodes.Contains(Legs[(2 * chunk + 1) % Legs.Count].Node));
    }
}

/// <summary>Where a service finds a volume's files.</summary>
/// <param name="Path">Absolute; the directory is made where it is missing.</param>
public sealed record MountSpec(string Volume, string Path);

/// <summary>A volume's writer and legs. Never in the file's services: made of a <see cref="VolumeSpec"/>.</summary>
public sealed record VolumeDriverSpec : DriverSpec
{
    public required VolumeSpec Volume { get; init; }
    /// <summary>Where the writer mounts it; null while no service works on it.</summary>
    public string? MountAt { get; init; }
}
