using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Processes;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Evenkeel.Tests.Guard.Enforcement;

public sealed class ProcessPlanTests
{
    private static readonly RunPlan Plan = new("web", "nobody", "/srv", "/var/log/web", "/sys/fs/cgroup/x/cgroup.procs", ["./shop", "", "--é"], ["A=1", "B="]);

    [Fact]
    public void RunPlan_EncodedAndDecoded_IsTheSame()
    {
        var back = RunPlan.Decode(Plan.Encode());
        Assert.Equal(Plan.Command, back.Command);
        Assert.Equal(Plan.Environment, back.Environment);
        Assert.Equal(Plan, back with { Command = Plan.Command, Environment = Plan.Environment });
    }

    [Fact]
    public void RunPlan_NoEnvironment_IsTheSame() => Assert.Empty(RunPlan.Decode((Plan with { Environment = [] }).Encode()).Environment);

    [Fact]
    public void RunPlan_ZeroByteInCommand_IsRefused() => Assert.Throws<ArgumentException>(() => (Plan with { Command = ["a\0b"] }).Encode());

    [Theory, InlineData("other\0"), InlineData("evenkeel-run-1\0web\0\0\0log\0\0" + "3\0a\0"), InlineData("")]
    public void RunPlan_OtherVersionOrCutShort_IsRefused(string bytes) =>
        Assert.Throws<FormatException>(() => RunPlan.Decode(System.Text.Encoding.UTF8.GetBytes(bytes)));

    [Theory]
    [InlineData("38 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw", "0::/", "/sys/fs/cgroup/unified")]
    [InlineData("24 30 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw", "0::/system.slice/evenkeel.service", "/sys/fs/cgroup/system.slice/evenkeel.service")]
    [InlineData("24 30 0:22 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw", "0::/docker/ab/x", "/sys/fs/cgroup/x")]
    [InlineData("24 30 0:22 / /my\\040cgroups rw - cgroup2 cgroup rw", "4:memory:/a\n0::/", "/my cgroups")]
    [InlineData("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu", "0::/", null)]
    public void Locate_MountInfo_GivesOurOwnCgroup(string mountInfo, string own, string? expected) =>
        Assert.Equal(expected, ControlGroups.Locate("20 1 0:1 / / rw - ext4 /dev/sda rw\n" + mountInfo + "\n", own + "\n"));

    [Fact]
    public void NameOf_TwoDirectories_AreReadableAndDifferent()
    {
        Assert.StartsWith("evenkeel-n1-", LinuxEnforcer.NameOf("/var/lib/evenkeel/n1/"), StringComparison.Ordinal);
        Assert.Equal(LinuxEnforcer.NameOf("/var/lib/evenkeel/n1"), LinuxEnforcer.NameOf("/var/lib/evenkeel/n1/"));
        Assert.NotEqual(LinuxEnforcer.NameOf("/tmp/other/n1"), LinuxEnforcer.NameOf("/var/lib/evenkeel/n1"));
    }

    [Fact]
    public void AnnouncementSchedule_TickedEvery10Milliseconds_IsDueAtItsTimesAndThenSlowly()
    {
        var schedule = new AnnouncementSchedule();
        var start = new Instant(5, 5);
        schedule.Restart(start);
        var due = Enumerable.Range(0, 7000).Select(i => i * 10).Where(ms => schedule.IsDue(start + TimeSpan.FromMilliseconds(ms)));
        Assert.Equal([0, 50, 200, 500, 1000, 2000, 5000, 35000, 65000], due);
    }

    [Fact]
    public void AnnouncementSchedule_LongPause_CountsAsOne()
    {
        var schedule = new AnnouncementSchedule();
        schedule.Restart(new Instant(0, 0));
        Assert.True(schedule.IsDue(new Instant(0, 0) + TimeSpan.FromSeconds(3)));
        Assert.False(schedule.IsDue(new Instant(0, 0) + TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void Rotate_PastTheMaximum_KeepsEveryByteInOrderOverThreeFiles()
    {
        var directory = Directory.CreateTempSubdirectory("evenkeel-log").FullName;
        try
        {
            var log = Path.Combine(directory, "web.log");
            var written = new MemoryStream();
            // As a service has it (O_APPEND): Linux then appends wherever a write says it should go. FileMode.Append is not that.
            using (var writer = new SafeFileHandle(Libc.open(log, Libc.OpenWriteOnly | Libc.OpenCreate | Libc.OpenAppend, 0x180), ownsHandle: true))
            {
                for (var round = 0; round < 2; round++)
                {
                    var part = new byte[300_000];
                    new Random(round).NextBytes(part);
                    RandomAccess.Write(writer, part, 0);
                    written.Write(part);
                    Assert.True(LogRotation.Rotate(log, 200_000));
                    Assert.False(LogRotation.Rotate(log, 200_000));
                }
                RandomAccess.Write(writer, "end"u8, 0); // The writer's handle goes on, at the new end.
                written.Write("end"u8);
            }
            byte[] all = [.. File.ReadAllBytes(log + ".2"), .. File.ReadAllBytes(log + ".1"), .. File.ReadAllBytes(log)];
            Assert.Equal(written.ToArray(), all);
            Assert.Equal(3, Directory.GetFiles(directory).Length);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
