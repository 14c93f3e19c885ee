namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>Every key of a volume.</summary>
internal static class VolumeKeys
{
    /// <summary>One leg, <c>n1:/srv/files.img</c>; one mount, <c>files:/srv/files</c>.</summary>
    private static readonly TextShape s_leg = new("NODE:/PATH", Shapes.NamePattern + ":/.+");

    public static readonly TextShape Mount = new("VOLUME:/PATH", Shapes.NamePattern + ":/.+");

    public static readonly KeysShape Volume = new("volumes.NAME",
    [
        new("raid", new IntegerShape(0, 10), "1: every leg has everything. 10: neighbours in `members` are copies of each other. 0, 5 and 6 are refused across nodes.", Required: true),
        new("size", new SizeShape(), "The size of its file system's device, a multiple of 1MiB.", Required: true),
        new("members", new ListShape(s_leg, OrOne: false, Least: 2), "Its legs, at most one a node: a file (made where it is missing) or a block device. Each needs 4MiB more than its share of `size`.", Required: true),
        new("filesystem", new ChoiceShape("ext4", "xfs"), "Made on it while it is new; never afterwards.", Default: "ext4"),
        new("port", Shapes.Port, "The port on the private addresses at which its legs are served.", Default: "7820 to 7919, by its name"),
        new("leg_timeout", Shapes.Time("200ms", "5m"), "A leg that does not answer a request for this long counts as lost; I/O waits meanwhile.", Default: "2s"),
        new("strict", Shapes.Boolean, "I/O waits while fewer legs than a majority are in sync, instead of going on with those that are left.", Default: "false"),
        new("sync_rate", new SizeShape(), "What a resync or a verification may move in a second.", Default: "no limit"),
        new("asynchronous", Shapes.Names, "Nodes whose legs are written after the answer, in the order of the writes, for RAID 1: they have what the volume was a moment ago, and are never in sync. At least one leg is not. Where the writer is, its own leg is never behind.", Default: "none"),
        new("protocol", new ChoiceShape("sync", "async"), "sync: a write is acknowledged when every leg in sync has it. async: the same as naming under `asynchronous` every node but the first of `members`.", Default: "sync"),
        new("backlog", new SizeShape(), "Bytes of acknowledged writes that an asynchronous leg may lack, 4MiB to 1GiB, and the memory that they may take at the writer.", Default: "64MiB"),
        new("on_congestion", new ChoiceShape("pull-ahead", "block"), "When the backlog is full: leave the leg behind, and bring it what it lacks afterwards (it is inconsistent meanwhile); or let writes wait while its line gets on.", Default: "pull-ahead"),
        new("accept_loss", Shapes.Boolean, "With no leg in sync left, go on by itself at an asynchronous leg that lacks no more than `backlog`: what it lacks is lost. Without it only a leg in sync is taken over on.", Default: "false"),
    ]);
}
