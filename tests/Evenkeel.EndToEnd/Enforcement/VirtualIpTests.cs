using System.Diagnostics;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>The VIP's door against the kernel, seen from a client in its own namespace. Needs root and nftables.</summary>
[Collection("namespaces")]
[Trait("needs", "root")]
[Trait("Turn", "3")]
public sealed class VirtualIpTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private readonly NetworkLab lab = new();

    // Kernels or rights without bpf: the leases are time-outs of nftables.
    private static readonly LeaseClock.Maker s_none = (out string? reason) => { reason = "none here"; return null; };

    public static TheoryData<string, int, bool> Leases => [.. from family in Families from clock in new[] { true, false } select (family.Data.Item1, family.Data.Item2, clock)];
    public static TheoryData<string, int> Families => new() { { "10.91.0.100", 24 }, { "10.91.0.101", 32 }, { "fd91::100", 64 }, { "fd91::101", 128 } };

    [Fact]
    public void Open_KernelWithEverything_NothingIsMissing()
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        Assert.Empty(stack.Missing);
    }

    [Fact]
    public void Open_NoBpf_SaysWhatThatCosts()
    {
        using var stack = lab.On("a", () => VirtualIpStack.OpenWith(s_none));
        Assert.Contains("time-outs of nftables (none here)", Assert.Single(stack.Missing), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Leases))]
    public void Open_ThenClose_AnswersOnlyBetween(string address, int prefixLength, bool clock)
    {
        using var listener = Listener.On(lab, "a");
        using var stack = lab.On("a", () => VirtualIpStack.OpenWith(clock ? LeaseClock.TryMake : s_none));
        var door = stack.Door(new VipEnforcement(address, prefixLength, "eth0"));
        Assert.False(Client.Connects(lab, "c", address, 200));

        Assert.Null(door.Open(BootClock.Now() + Long));
        Assert.True(Client.Connects(lab, "c", address));
        Assert.Equal(lab.HardwareAddress("a"), lab.Neighbour("c", address));
        Assert.Null(door.Renew(BootClock.Now() + Long));
        Assert.True(Client.Connects(lab, "c", address));

        Assert.Null(door.Close());
        Assert.False(Client.Connects(lab, "c", address, 200));
        Assert.DoesNotContain(address, lab.In("a", "ip addr"), StringComparison.Ordinal);
        Assert.NotNull(door.Open(BootClock.Now() + Long));
    }

    [Theory, MemberData(nameof(Leases))]
    public void Renewals_Stop_KernelFallsSilentInTime(string address, int prefixLength, bool clock)
    {
        using var listener = Listener.On(lab, "a");
        using var stack = lab.On("a", () => VirtualIpStack.OpenWith(clock ? LeaseClock.TryMake : s_none));
        var door = stack.Door(new VipEnforcement(address, prefixLength, "eth0"));
        var lease = TimeSpan.FromMilliseconds(800);
        long end = 0;
        Assert.Null(door.Open(BootClock.Now() + Long));
        Assert.Null(door.Renew(BootClock.Now() + Long));
        Assert.True(Client.Connects(lab, "c", address));
        // From here on nothing in this process touches the door again: only the kernel can close it.
        var last = Client.LastAnswer(lab, "c", address, TimeSpan.FromMilliseconds(1500), () =>
        {
            end = Stopwatch.GetTimestamp() + (long)(lease.TotalSeconds * Stopwatch.Frequency);
            Assert.Null(door.Renew(BootClock.Now() + lease));
        });

        Assert.NotEqual(0, last);
        Assert.True(last <= end, $"answered {Stopwatch.GetElapsedTime(end, last).TotalMilliseconds} ms after the lease's end");
        Assert.True(Stopwatch.GetElapsedTime(last, end) < TimeSpan.FromMilliseconds(500), "fell silent much too early");
    }

    [Fact]
    public void Renewals_Stop_NeitherArpNorTrafficFromTheAddressLeavesThoughItIsStillThere()
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        var door = stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0"));
        Assert.Null(door.Open(BootClock.Now() + TimeSpan.FromMilliseconds(300)));
        using var listener = Listener.On(lab, "c");
        _ = Client.LastAnswer(lab, "c", "10.91.0.100", TimeSpan.FromMilliseconds(500), () => { });

        lab.In("c", "ip neigh flush dev eth0");
        Assert.False(Client.Connects(lab, "c", "10.91.0.100", 200));
        Assert.Equal("", lab.Neighbour("c", "10.91.0.100"));
        Assert.Contains("10.91.0.100", lab.In("a", "ip addr"), StringComparison.Ordinal);
        Assert.False(Client.Connects(lab, "a", "10.91.0.3", 300, from: "10.91.0.100"));
        Assert.True(Client.Connects(lab, "a", "10.91.0.3", 300));
    }

    [Fact]
    public void Renew_TwoSecondsOn_AddressOutlivesItsFirstLifetime()
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        using var listener = Listener.On(lab, "a");
        var door = stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0"));
        var lease = TimeSpan.FromMilliseconds(150);
        Assert.Null(door.Open(BootClock.Now() + lease));
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < TimeSpan.FromSeconds(4))
        {
            Thread.Sleep(30);
            Assert.Null(door.Renew(BootClock.Now() + lease));
        }
        Assert.True(Client.Connects(lab, "c", "10.91.0.100", 100));
    }

    [Theory, MemberData(nameof(Families))]
    public void Takeover_ClientThatKnewTheOldOwner_LearnsTheNewOneUnasked(string address, int prefixLength)
    {
        using var listenerA = Listener.On(lab, "a");
        using var listenerB = Listener.On(lab, "b");
        using var stackA = lab.On("a", VirtualIpStack.Open);
        using var stackB = lab.On("b", VirtualIpStack.Open);
        var old = stackA.Door(new VipEnforcement(address, prefixLength, "eth0"));
        var next = stackB.Door(new VipEnforcement(address, prefixLength, "eth0"));
        Assert.Null(old.Open(BootClock.Now() + Long));
        Assert.True(Client.Connects(lab, "c", address));
        Assert.Equal(lab.HardwareAddress("a"), lab.Neighbour("c", address));

        Assert.Null(old.Close());
        Assert.Null(next.Open(BootClock.Now() + Long));

        Assert.True(SpinWait.SpinUntil(() => lab.Neighbour("c", address) == lab.HardwareAddress("b"), 2000));
        Assert.True(Client.Connects(lab, "c", address));
        // The old owner, now an ordinary client, reaches it too: its rules stop only what an owner would send or take.
        Assert.True(Client.Connects(lab, "a", address));
    }

    [Fact]
    public void Tick_AfterTakeover_AnnouncesSevenTimesInFiveSecondsInBothForms()
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        using var ears = lab.On("c", () => ArpSocket.TryOpen(out _))!;
        var door = stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0"));
        var opened = BootClock.Now();
        Assert.Null(door.Open(opened + Long));
        for (var ms = 0; ms <= 6000; ms += 10) stack.Tick(opened + TimeSpan.FromMilliseconds(ms), _ => { });

        var (requests, replies) = (0, 0);
        var frame = new byte[100];
        for (int count; (count = ears.Receive(frame, out _)) >= 0;)
            if (ArpPacket.TryRead(frame.AsSpan(0, count), out _, out var sender) && sender.SequenceEqual((byte[])[10, 91, 0, 100]))
                _ = frame[21] == 1 ? requests++ : replies++;
        Assert.InRange(requests, 7, 8);
        Assert.InRange(replies, 7, 8);
    }

    [Theory, InlineData("10.91.0.100", 24), InlineData("fd91::100", 64)]
    public void Tick_AnotherMachineClaimsTheAddress_IsReported(string address, int prefixLength)
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        lab.In("b", $"ip addr add {address}/{prefixLength} dev eth0");
        Thread.Sleep(50);
        var door = stack.Door(new VipEnforcement(address, prefixLength, "eth0"));
        Assert.Null(door.Open(BootClock.Now() + Long));
        var found = new List<string>();
        Assert.True(SpinWait.SpinUntil(() =>
        {
            stack.Tick(BootClock.Now(), found.Add);
            return found.Count > 0;
        }, 3000));
        Assert.Contains(lab.HardwareAddress("b").Replace(":", "", StringComparison.Ordinal), found[0], StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Leases))]
    public void Tick_AnotherProgramFlushedTheRules_TheyStandAgainAndCloseInTime(string address, int prefixLength, bool clock)
    {
        using var listener = Listener.On(lab, "a");
        using var stack = lab.On("a", () => VirtualIpStack.OpenWith(clock ? LeaseClock.TryMake : s_none));
        var door = stack.Door(new VipEnforcement(address, prefixLength, "eth0"));
        Assert.Null(door.Open(BootClock.Now() + Long));
        stack.Tick(BootClock.Now(), _ => { });
        lab.In("a", "nft flush ruleset");
        var found = new List<string>();
        Assert.True(SpinWait.SpinUntil(() =>
        {
            stack.Tick(BootClock.Now(), found.Add);
            return found.Count > 0;
        }, 3000));
        Assert.Contains("they stand again", Assert.Single(found), StringComparison.Ordinal);
        Assert.Null(door.Renew(BootClock.Now() + Long));
        Assert.True(Client.Connects(lab, "c", address));
        Assert.Null(door.Renew(BootClock.Now() + TimeSpan.FromMilliseconds(200)));
        Thread.Sleep(250);
        Assert.False(Client.Connects(lab, "c", address, 200));
    }

    [Fact]
    public void Open_InterfaceIsMissingOrDown_SaysSo()
    {
        using var stack = lab.On("a", VirtualIpStack.Open);
        Assert.Equal("there is no interface eth9", stack.Door(new VipEnforcement("10.91.0.100", 24, "eth9")).Open(BootClock.Now() + Long));
        lab.In("a", "ip link set eth0 down");
        Assert.Equal("the interface eth0 is down", stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0")).Open(BootClock.Now() + Long));
        lab.In("a", "ip link set eth0 up");
        lab.In("sw", "ip link set port-a down");
        // The kernel gathers carrier changes for up to a second (linkwatch).
        Assert.True(SpinWait.SpinUntil(() => lab.In("a", "ip link show eth0").Contains("NO-CARRIER", StringComparison.Ordinal), 5000));
        Assert.Equal("the interface eth0 has no carrier", stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0")).Open(BootClock.Now() + Long));
    }

    [Fact]
    public void Dispose_LeavesNeitherAddressNorRules()
    {
        using (var stack = lab.On("a", VirtualIpStack.Open))
        {
            Assert.Null(stack.Door(new VipEnforcement("10.91.0.100", 24, "eth0")).Open(BootClock.Now() + Long));
            Assert.Contains("evenkeel", lab.In("a", "nft list ruleset"), StringComparison.Ordinal);
        }
        Assert.Equal("", lab.In("a", "nft list ruleset"));
        Assert.DoesNotContain("10.91.0.100", lab.In("a", "ip addr"), StringComparison.Ordinal);
    }

    public void Dispose() => lab.Dispose();
}

/// <summary>Tests that time what the kernel does run one after another.</summary>
[CollectionDefinition("namespaces", DisableParallelization = true)]
#pragma warning disable CA1515, CA1711
public sealed class NamespacesCollection;
