using System.Diagnostics;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>A process that holds a virtual IP is stopped or killed; nobody but the kernel is left to close its door.</summary>
[Collection("namespaces")]
[Trait("needs", "root")]
[Trait("Turn", "2")]
public sealed class FrozenGuardTests : IDisposable
{
    private static readonly TimeSpan Lease = TimeSpan.FromMilliseconds(300);
    private readonly NetworkLab lab = new();

    [Theory, InlineData("10.91.0.100", 19), InlineData("fd91::100", 19), InlineData("10.91.0.100", 9), InlineData("fd91::100", 9)]
    public void Holder_StoppedOrKilled_KernelFallsSilentInTimeAndRemovesTheAddress(string address, int signal)
    {
        using var listener = Listener.On(lab, "a");
        using var holder = Helper.Start($"hold {address}", "ip", "netns", "exec", lab.Name("a"));
        Assert.Equal("swept ", holder.StandardOutput.ReadLine());
        Assert.Equal("open", holder.StandardOutput.ReadLine());
        Assert.True(Client.Connects(lab, "c", address));

        long signalled = 0;
        var last = Client.LastAnswer(lab, "c", address, TimeSpan.FromMilliseconds(900), () =>
        {
            _ = Libc.kill(holder.Id, signal);
            signalled = Stopwatch.GetTimestamp();
        });
        // The last renewal was before the signal, so its time ends no later than this.
        Assert.True(Stopwatch.GetElapsedTime(signalled, last) <= Lease, $"answered {Stopwatch.GetElapsedTime(signalled, last).TotalMilliseconds} ms after the signal");
        Assert.True(SpinWait.SpinUntil(() => !lab.In("a", "ip addr").Contains(address + "/", StringComparison.Ordinal), 8000), "the address stayed");

        if (signal == 19)
        {
            _ = Libc.kill(holder.Id, 18);
            Assert.Equal("the lease has run out", holder.StandardOutput.ReadLine());
        }
        Assert.True(holder.WaitForExit(5000));
    }

    [Theory, InlineData("10.91.0.100"), InlineData("fd91::100")]
    public void Holder_WithATimeNamespaceOfItsOwn_Stopped_KernelFallsSilentInTime(string address)
    {
        using var listener = Listener.On(lab, "a");
        // 'unshare' alone would be stopped, not the holder that it starts.
        using var unshare = Helper.Start($"hold {address}", "ip", "netns", "exec", lab.Name("a"), "unshare", "--time", "--boottime", "3600", "--fork", "--kill-child");
        Assert.Equal("swept ", unshare.StandardOutput.ReadLine());
        Assert.Equal("open", unshare.StandardOutput.ReadLine());
        var holder = int.Parse(File.ReadAllText($"/proc/{unshare.Id}/task/{unshare.Id}/children").Trim(), System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(Client.Connects(lab, "c", address));

        long signalled = 0;
        var last = Client.LastAnswer(lab, "c", address, TimeSpan.FromMilliseconds(900), () =>
        {
            _ = Libc.kill(holder, 19);
            signalled = Stopwatch.GetTimestamp();
        });
        unshare.Kill();
        Assert.True(Stopwatch.GetElapsedTime(signalled, last) <= Lease, $"answered {Stopwatch.GetElapsedTime(signalled, last).TotalMilliseconds} ms after the signal");
    }

    [Fact]
    public async Task Holder_FirewallIsLoadedAllTheWhile_RenewsInTime()
    {
        // Each load keeps everybody else who would change the rules of this namespace waiting, for longer than the lease: with so many elements as
        // this machine needs that long for.
        var rules = Path.GetTempFileName();
        for (var (elements, took) = (60_000, TimeSpan.Zero); took < 1.5 * Lease; elements *= 2)
        {
            var many = string.Join(", ", Enumerable.Range(0, elements).Select(n => $"10.{n >> 8 & 255}.{n & 255}.{n >> 16}"));
            await File.WriteAllTextAsync(rules, $"table ip other {{\nset many {{ type ipv4_addr; elements = {{ {many} }}; }}\n}}\ndelete table ip other\n", TestContext.Current.CancellationToken);
            var began = Stopwatch.GetTimestamp();
            lab.In("a", "nft -f " + rules);
            took = Stopwatch.GetElapsedTime(began);
        }

        using var holder = Helper.Start("hold 10.91.0.100", "ip", "netns", "exec", lab.Name("a"));
        Assert.Equal("swept ", holder.StandardOutput.ReadLine());
        Assert.Equal("open", holder.StandardOutput.ReadLine());
        var longest = TimeSpan.Zero;
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(3);)
        {
            var before = clock.Elapsed;
            lab.In("a", "nft -f " + rules);
            longest = clock.Elapsed - before > longest ? clock.Elapsed - before : longest;
        }
        File.Delete(rules);
        Assert.True(longest > Lease, $"a load took {longest.TotalMilliseconds} ms at most");
        Assert.False(holder.HasExited);
        holder.Kill();
        Assert.Null(await holder.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
    }

    [Theory, InlineData("10.91.0.100", "24"), InlineData("fd91::100", "64")]
    public void Open_AfterAKilledHolder_SweepsItsAddressAndNoOther(string address, string prefixLength)
    {
        lab.In("a", $"ip addr add 10.91.0.77/24 dev eth0");
        using var holder = Helper.Start($"hold {address}", "ip", "netns", "exec", lab.Name("a"));
        Assert.Equal("swept ", holder.StandardOutput.ReadLine());
        Assert.Equal("open", holder.StandardOutput.ReadLine());
        holder.Kill();
        holder.WaitForExit();

        using var stack = lab.On("a", VirtualIpStack.Open);

        Assert.Equal([$"{address}/{prefixLength}"], stack.Swept);
        var left = lab.In("a", "ip addr");
        Assert.DoesNotContain(address + "/", left, StringComparison.Ordinal);
        Assert.Contains("10.91.0.77", left, StringComparison.Ordinal);
        Assert.Equal("", lab.In("a", "nft list ruleset"));
    }

    [Fact]
    public void Open_WhileAnotherHolds_TouchesNothingAndSaysSo()
    {
        using var holder = Helper.Start("hold 10.91.0.100", "ip", "netns", "exec", lab.Name("a"));
        Assert.Equal("swept ", holder.StandardOutput.ReadLine());
        Assert.Equal("open", holder.StandardOutput.ReadLine());
        try
        {
            using var stack = lab.On("a", VirtualIpStack.Open);
            Assert.Empty(stack.Swept);
            Assert.Contains("another guard", Assert.Single(stack.Missing), StringComparison.Ordinal);
            Assert.Contains("10.91.0.100", lab.In("a", "ip addr"), StringComparison.Ordinal);
        }
        finally
        {
            holder.Kill();
            holder.WaitForExit();
        }
    }

    [Fact]
    public void Open_WithoutPrivileges_SaysWhatIsMissing()
    {
        using var holder = Helper.Start("hold 10.91.0.100", "ip", "netns", "exec", lab.Name("a"), "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all");
        Assert.Equal("swept ", holder.StandardOutput.ReadLine());
        Assert.Contains("could not be added to eth0", holder.StandardOutput.ReadLine(), StringComparison.Ordinal);
        Assert.True(holder.WaitForExit(5000));
    }

    public void Dispose() => lab.Dispose();
}
