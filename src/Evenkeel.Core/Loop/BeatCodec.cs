using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Beats as bytes: a version byte, then fields in a fixed order, numbers as LEB128, texts as length and UTF-8. Compact,
/// because every agent sends one to every other 33 times a second. Garbage is refused without an exception.
/// During an upgrade two versions live side by side: each reads its own and the one before, and speaks to a peer no newer one
/// than that reads.
/// </summary>
public static class BeatCodec
{
    /// <summary>The newest version that this program speaks.</summary>
    public const byte Version = 5;
    /// <summary>The oldest version that this program speaks: one of skew is allowed.</summary>
    public const byte Oldest = Version - 1;
    private const int MostDetail = 200, MostShut = 64, MostProgram = 100, MostConcerns = 10;

    /// <summary>In this program's own version.</summary>
    public static byte[] Encode(Beat beat) => Encode(beat, Version);

    /// <param name="version">From <see cref="Oldest"/> to <see cref="Version"/>; an older one lacks what it does not know.</param>
    public static byte[] Encode(Beat beat, byte version)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(version, Oldest);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(version, Version);
        var writer = new WireWriter();
        writer.Byte(version);
        writer.Text(beat.Sender.Value);
        writer.Fixed(beat.Session);
        writer.Number(beat.Sequence);
        writer.Number(beat.Revision);
        writer.Number(beat.Incarnation);
        writer.Flag(beat.Controller is not null);
        if (beat.Controller is { } controller)
        {
            writer.Text(controller.Node.Value);
            writer.Number(controller.Epoch);
        }
        writer.List(beat.Heard, echo =>
        {
            writer.Text(echo.Peer.Value);
            writer.Fixed(echo.Session);
            writer.Number(echo.Sequence);
        });
        Encode(writer, beat.Facts, version);
        return writer.ToArray();
    }

    /// <summary>Null when the bytes are no beat of a version that this program speaks.</summary>
    public static Beat? Decode(ReadOnlyMemory<byte> message)
    {
        var reader = new WireReader(message);
        var version = reader.Byte();
        if (version is < Oldest or > Version) return null;
        var beat = new Beat
        {
            Sender = new(reader.Text()),
            Session = reader.Fixed(),
            Sequence = reader.Number(),
            Revision = reader.Number(),
            Incarnation = reader.Small(),
            Controller = reader.Flag() ? new Controller(new(reader.Text()), reader.Number()) : null,
            Heard = reader.List(() => new Echo(new(reader.Text()), reader.Fixed(), reader.Number())),
            Facts = DecodeFacts(reader, version),
        };
        return reader.Whole ? beat : null;
    }

    private static void Encode(WireWriter writer, NodeFacts facts, byte version)
    {
        writer.Fixed(facts.Guard.Value);
        writer.Flag(facts.Ready);
        writer.Flag(facts.PublicUp);
        writer.Flag(facts.StoreReachable);
        writer.Fixed(BitConverter.DoubleToUInt64Bits(facts.LoadPerCore));
        writer.Fixed((ulong)facts.WallClock);
        writer.List(facts.Held, lease => Encode(writer, lease));
        writer.List(facts.Ended, lease => Encode(writer, lease));
        writer.List(facts.Instances, instance => Encode(writer, instance, version));
        writer.Flag(facts.Restarting);
        writer.Text(facts.Program.Length <= MostProgram ? facts.Program : facts.Program[..MostProgram]);
        writer.Number(facts.StateFormat);
        if (version < 5) return;
        writer.List(facts.Finishing, carried =>
        {
            writer.Text(carried.Service);
            writer.Text(carried.Node.Value);
        });
        writer.List([.. facts.Shut.Take(MostShut)], door =>
        {
            writer.Text(door.Vip);
            writer.Text(door.What.Length <= MostDetail ? door.What : door.What[..MostDetail]);
        });
        writer.List(facts.Concerns.Count <= MostConcerns ? facts.Concerns : [.. facts.Concerns.Take(MostConcerns)], concern =>
        {
            writer.Text(concern.Kind);
            writer.Text(concern.What.Length <= MostDetail ? concern.What : concern.What[..MostDetail]);
        });
    }

    private static NodeFacts DecodeFacts(WireReader reader, byte version) => new()
    {
        Guard = new(reader.Fixed()),
        Ready = reader.Flag(),
        PublicUp = reader.Flag(),
        StoreReachable = reader.Flag(),
        LoadPerCore = BitConverter.UInt64BitsToDouble(reader.Fixed()),
        WallClock = (long)reader.Fixed(),
        Held = reader.List(() => DecodeLease(reader)),
        Ended = reader.List(() => DecodeLease(reader)),
        Instances = reader.List(() => DecodeInstance(reader, version)),
        Restarting = reader.Flag(),
        Program = reader.Text(),
        StateFormat = reader.Small(),
        Finishing = version >= 5 ? reader.List(() => new Carried(reader.Text(), new(reader.Text()))) : [],
        Shut = version >= 5 ? reader.List(() => new ShutDoor(reader.Text(), reader.Text())) : [],
        Concerns = version >= 5 ? reader.List(() => new NodeConcern(reader.Text(), reader.Text())) : [],
    };

    private static void Encode(WireWriter writer, HeldLease lease)
    {
        writer.Text(lease.Resource.Value);
        Encode(writer, lease.Epoch);
    }

    private static HeldLease DecodeLease(WireReader reader) => new(reader.Resource(), DecodeEpoch(reader));

    private static void Encode(WireWriter writer, Epoch epoch)
    {
        writer.Number(epoch.Incarnation);
        writer.Number(epoch.Number);
    }

    private static Epoch DecodeEpoch(WireReader reader) => new(reader.Small(), reader.Number());

    private static void Encode(WireWriter writer, InstanceFacts instance, byte version)
    {
        writer.Text(instance.Service);
        writer.Byte((byte)instance.Status);
        writer.Byte((byte)instance.Health);
        writer.Number(instance.Restarts);
        writer.Fixed(instance.Version);
        writer.Flag(instance.Leaving);
        writer.Flag(instance.Epoch is not null);
        if (instance.Epoch is { } epoch) Encode(writer, epoch);
        writer.Flag(instance.ProcessId is not null);
        if (instance.ProcessId is { } process) writer.Number(process);
        writer.Flag(instance.Position is not null);
        if (instance.Position is { } position) writer.Number(position);
        writer.Flag(instance.Replication is not null);
        if (instance.Replication is { } replication) Encode(writer, replication);
        writer.Text(instance.Detail.Length <= MostDetail ? instance.Detail : instance.Detail[..MostDetail]);
        if (version < 5) return;
        writer.Byte((byte)instance.Ban);
        writer.Flag(instance.PromotionScore is not null);
        // Numbers on the wire are never negative: the scale begins at its lower end.
        if (instance.PromotionScore is { } score) writer.Number(Math.Clamp(score, -InstanceFacts.InfiniteScore, InstanceFacts.InfiniteScore) + InstanceFacts.InfiniteScore);
    }

    private static InstanceFacts DecodeInstance(WireReader reader, byte version)
    {
        var facts = new InstanceFacts(reader.Text(), (InstanceStatus)reader.Byte((byte)InstanceStatus.Stuck), (Health)reader.Byte((byte)Health.Unhealthy));
        return facts with
        {
            Restarts = reader.Small(),
            Version = reader.Fixed(),
            Leaving = reader.Flag(),
            Epoch = reader.Flag() ? DecodeEpoch(reader) : null,
            ProcessId = reader.Flag() ? reader.Small() : null,
            Position = reader.Flag() ? reader.Number() : null,
            Replication = reader.Flag() ? DecodeReplication(reader) : null,
            Detail = reader.Text(),
            Ban = version >= 5 ? (Ban)reader.Byte((byte)Ban.Everywhere) : Ban.None,
            PromotionScore = version >= 5 && reader.Flag() ? reader.Small() - InstanceFacts.InfiniteScore : null,
        };
    }

    private static void Encode(WireWriter writer, ReplicationFacts facts)
    {
        writer.Text(facts.Data ?? "");
        writer.Number(facts.Timeline);
        writer.Text(facts.Upstream?.Value ?? "");
        writer.Flag(facts.Streaming);
        writer.List(facts.Required, node => writer.Text(node.Value));
        writer.List(facts.Synchronous, node => writer.Text(node.Value));
        writer.List(facts.Followers, node => writer.Text(node.Value));
        writer.Number(facts.Transactions);
    }

    private static ReplicationFacts DecodeReplication(WireReader reader) => new()
    {
        Data = reader.Text() is { Length: > 0 } data ? data : null,
        Timeline = reader.Small(),
        Upstream = reader.Text() is { Length: > 0 } upstream ? new NodeName(upstream) : null,
        Streaming = reader.Flag(),
        Required = reader.List(() => new NodeName(reader.Text())),
        Synchronous = reader.List(() => new NodeName(reader.Text())),
        Followers = reader.List(() => new NodeName(reader.Text())),
        Transactions = reader.Number(),
    };
}
