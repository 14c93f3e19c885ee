using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>The <c>volumes:</c> of a cluster's file, and the services that mount them.</summary>
public sealed class VolumeFileTests
{
    private static string File(string volume = "raid: 1, size: 20GiB, members: [\"n1:/srv/files.img\", \"n2:/srv/files.img\"]", string service = "mounts: [\"files:/srv/files\"]", string more = "") => $$"""
        version: 1
        cluster: shop
        networks: { private: [10.10.0.0/24] }
        nodes:
          n1: { private: [10.10.0.11] }
          n2: { private: [10.10.0.12] }
          n3: { private: [10.10.0.13], role: witness }
          n4: { private: [10.10.0.14] }
          n5: { private: [10.10.0.15] }
        services:
          files:
            process: { command: [./files] }
            redundancy: cold
            {{service}}
        volumes:
          files: { {{volume}} }
        {{more}}
        """;

    [Fact]
    public void Parse_TheFewestKeys_FillsInTheDefaults()
    {
        var result = ClusterFile.Parse(File());
        Assert.Empty(result.Diagnostics);
        var volume = result.Spec!.Volumes["files"];
        Assert.Equal((1, 20L << 30, "ext4", TimeSpan.FromSeconds(2), false, (long?)null), (volume.Level, volume.Size, volume.FileSystem, volume.LegTimeout, volume.Strict, volume.SyncRate));
        Assert.Equal<VolumeLeg>([new VolumeLeg(new("n1"), "/srv/files.img"), new VolumeLeg(new("n2"), "/srv/files.img")], volume.Legs);
        Assert.InRange(volume.Port, 7820, 7919);
        Assert.Equal<MountSpec>([new MountSpec("files", "/srv/files")], result.Spec.Services["files"].Mounts);
    }

    [Fact]
    public void Parse_EveryKey_IsRead()
    {
        var volume = ClusterFile.Parse(File("raid: 10, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\", \"n5:/dev/sdb\"], filesystem: xfs, port: 9000, leg_timeout: 500ms, strict: true, sync_rate: 50MiB, protocol: sync")).Spec!.Volumes["files"];
        Assert.Equal((10, 1L << 30, "xfs", 9000, TimeSpan.FromMilliseconds(500), true, 50L << 20), (volume.Level, volume.Size, volume.FileSystem, volume.Port, volume.LegTimeout, volume.Strict, volume.SyncRate!.Value));
    }

    [Theory]
    [InlineData("raid: 5, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\"]", "volumes.files.raid", "the write hole")]
    [InlineData("raid: 6, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\", \"n5:/a\"]", "volumes.files.raid", "the write hole")]
    [InlineData("raid: 0, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"]", "volumes.files.raid", "lost with any one")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\"]", "volumes.files.members", "2 to 8 legs")]
    [InlineData("raid: 10, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"]", "volumes.files.members", "4, 6 or 8 legs")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n9:/a\"]", "volumes.files.members[1]", "there is no node 'n9'")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n3:/a\"]", "volumes.files.members[1]", "is a witness")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n1:/b\"]", "volumes.files.members[1]", "has a leg already")]
    [InlineData("raid: 1, size: 1500000, members: [\"n1:/a\", \"n2:/a\"]", "volumes.files.size", "no size for a volume")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], asynchronous: [n4]", "volumes.files.asynchronous", "n4 has no leg")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], asynchronous: [n2, n2]", "volumes.files.asynchronous", "named twice")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], asynchronous: [n1, n2]", "volumes.files.asynchronous", "no leg is left that a write waits for")]
    [InlineData("raid: 10, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\", \"n5:/a\"], asynchronous: n5", "volumes.files.asynchronous", "of different moments")]
    [InlineData("raid: 10, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\", \"n5:/a\"], protocol: async", "volumes.files.protocol", "of different moments")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: A", "volumes.files.protocol", "")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: async, backlog: 1MiB", "volumes.files.backlog", "no size for a backlog")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: async, backlog: 2GiB", "volumes.files.backlog", "no size for a backlog")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: async, backlog: many", "volumes.files.backlog", "")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: async, on_congestion: wait", "volumes.files.on_congestion", "")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], backlog: 16MiB", "volumes.files.backlog", "no asynchronous leg")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], accept_loss: true", "volumes.files.accept_loss", "no asynchronous leg")]
    [InlineData("raid: 1, size: 1GiB, members: [\"n1:a\", \"n2:/a\"]", "volumes.files.members[0]", "NODE:/PATH")]
    [InlineData("raid: 1, size: 1GiB", "volumes.files", "'members' is missing")]
    public void Parse_AMistakeInAVolume_IsFoundAtItsPlace(string volume, string path, string message) => Finds(File(volume), path, message);

    [Theory]
    [InlineData("mounts: [\"fules:/srv/files\"]", "services.files.mounts[0]", "there is no volume 'fules'")]
    [InlineData("mounts: [\"files:/srv/files\", \"files:/srv/more\"]", "services.files.mounts[1]", "there already")]
    [InlineData("mounts: [\"files:/srv/files\"]\n    activity: spread", "services.files.mounts", "one node at a time")]
    public void Parse_AMistakeInAMount_IsFoundAtItsPlace(string service, string path, string message) => Finds(File(service: service), path, message);

    [Fact]
    public void Parse_TwoWritersOfAVolume_AreRefused() => Finds(File().Replace("volumes:", """
          other:
            process: { command: [./other] }
            redundancy: cold
            mounts: ["files:/srv/files"]
        volumes:
        """, StringComparison.Ordinal), "services.other.mounts[0]", "a volume has one writer");

    [Fact]
    public void Parse_AsynchronousLegs_AreRead()
    {
        const string legs = "raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\", \"n4:/a\"]";
        var named = ClusterFile.Parse(File($"{legs}, asynchronous: [n4], backlog: 16MiB, on_congestion: block, accept_loss: true")).Spec!.Volumes["files"];
        Assert.Equal<NodeName>([new("n4")], named.Asynchronous);
        Assert.Equal((16L << 20, true, true), (named.Backlog, named.BlockOnCongestion, named.AcceptLoss));
        var by = ClusterFile.Parse(File($"{legs}, protocol: async")).Spec!.Volumes["files"];
        Assert.Equal<NodeName>([new("n2"), new("n4")], by.Asynchronous);
        Assert.Equal((64L << 20, false, false), (by.Backlog, by.BlockOnCongestion, by.AcceptLoss));
        Assert.Empty(ClusterFile.Parse(File($"{legs}, protocol: sync")).Spec!.Volumes["files"].Asynchronous);
    }

    /// <summary>A promise that the volume would break by itself is refused; that somebody may use the leg by hand breaks none.</summary>
    [Theory, InlineData("true", "0s", true), InlineData("true", "30s", false), InlineData("false", "0s", false)]
    public void Parse_AServiceThatPromisesRpoZero_IsRefusedWhereALossIsAccepted(string accept, string rpo, bool refused)
    {
        var file = File($"raid: 1, size: 1GiB, members: [\"n1:/a\", \"n2:/a\"], protocol: async, accept_loss: {accept}", $"mounts: [\"files:/srv/files\"]\n    objectives: {{ rpo: {rpo} }}");
        if (refused) Finds(file, "services.files.mounts[0]", "promises that no acknowledged write is lost");
        else Assert.NotNull(ClusterFile.Parse(file).Spec);
    }

    [Fact]
    public void Parse_AVolumeThatNobodyMounts_IsWarnedOf() =>
        Assert.Contains(ClusterFile.Parse(File(service: "")).Diagnostics, found => found is { Severity: Severity.Warning, Path: "volumes.files" });

    [Theory]
    [InlineData("size: 20GiB", "size: 30GiB", ChangeEffect.Impossible)]
    [InlineData("raid: 1,", "raid: 1, leg_timeout: 5s,", ChangeEffect.None)]
    public void Diff_OfAVolume_SaysWhatAChangeDoes(string before, string after, ChangeEffect effect)
    {
        var change = Assert.Single(SpecDiff.Between(ClusterFile.Parse(File()).Spec, ClusterFile.Parse(File().Replace(before, after, StringComparison.Ordinal)).Spec!));
        Assert.Equal(effect, change.Effect);
    }

    private static void Finds(string file, string path, string message)
    {
        var result = ClusterFile.Parse(file);
        Assert.Null(result.Spec);
        Assert.Contains(result.Diagnostics, found => found.Severity == Severity.Error && found.Path == path && found.Message.Contains(message, StringComparison.Ordinal) && found.Mend.Length > 0);
    }
}
