using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Services.VirtualIp;
using Xunit;

namespace Evenkeel.Tests.Services.VirtualIp;

/// <summary>Real programs as hooks: what they are told, and what becomes of bad ones.</summary>
public sealed class VipHookTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("ek-hook-").FullName;

    [Fact]
    public async Task Take_ProgramIsToldWhatTheContractSays()
    {
        Assert.Null(await RunAsync(["/bin/sh", "-c", $"""echo "$0 $1"; env | grep ^EVENKEEL_ | sort""", "own"], HookAction.Take, $"{directory}/said"));
        Assert.Equal("""
            own take
            EVENKEEL_ACTION=take
            EVENKEEL_ADDRESS=2001:db8::10
            EVENKEEL_CLUSTER=shop
            EVENKEEL_EPOCH=7
            EVENKEEL_INCARNATION=2
            EVENKEEL_INTERFACE=eth0
            EVENKEEL_NODE=n1
            EVENKEEL_NODE_ADDRESS=2001:db8::11
            EVENKEEL_PREFIX_LENGTH=64
            EVENKEEL_VIP=front

            """, await File.ReadAllTextAsync($"{directory}/said", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Release_IsTheLastArgument() => Assert.Null(await RunAsync(["/bin/sh", "-c", "test $0 = release"], HookAction.Release));

    [Fact]
    public async Task Program_Fails_SaysWhatItSaid() =>
        Assert.Equal("'/bin/sh take' ended with 3: no credentials", await RunAsync(["/bin/sh", "-c", "echo no credentials >&2; exit 3"], HookAction.Take));

    [Fact]
    public async Task Program_IsNotThere_SaysSo() => Assert.StartsWith("'/none/such' could not be started", await RunAsync(["/none/such"], HookAction.Take), StringComparison.Ordinal);

    [Fact]
    public async Task Program_TakesTooLong_IsKilledWithAllThatItStarted()
    {
        var found = await RunAsync(["/bin/sh", "-c", $"sleep 300 & echo $! > {directory}/child; wait"], HookAction.Take, limit: TimeSpan.FromSeconds(1));
        Assert.Equal("'/bin/sh take' had not ended after 1 s and was killed", found);
        var child = (await File.ReadAllTextAsync($"{directory}/child", TestContext.Current.CancellationToken)).Trim();
        // A zombie that init has yet to bury runs no more.
        for (var until = Environment.TickCount64 + 10_000; IsRunning(child); await Task.Delay(20, TestContext.Current.CancellationToken)) Assert.True(Environment.TickCount64 < until, "what it started runs on");
    }

    [Fact]
    public async Task Program_IsCancelled_IsKilled()
    {
        using var cancellation = new CancellationTokenSource();
        var running = VipHook.RunAsync(Call(["/bin/sh", "-c", $"echo $$ > {directory}/own; sleep 300"], HookAction.Take, TimeSpan.FromMinutes(1)), cancellation.Token);
        for (var until = Environment.TickCount64 + 10_000; !File.Exists($"{directory}/own") || new FileInfo($"{directory}/own").Length == 0; await Task.Delay(10, TestContext.Current.CancellationToken)) Assert.True(Environment.TickCount64 < until);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.False(IsRunning((await File.ReadAllTextAsync($"{directory}/own", TestContext.Current.CancellationToken)).Trim()));
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static bool IsRunning(string process)
    {
        try
        {
            return File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("State:", StringComparison.Ordinal)) is var state && !state.Contains('Z', StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static Task<string?> RunAsync(string[] command, HookAction action, string? into = null, TimeSpan? limit = null)
    {
        // What it says is not kept when all is well: here a shell around it keeps it.
        string[] whole = into is null ? command : ["/bin/sh", "-c", $"exec \"$@\" > {into}", "-", .. command];
        return VipHook.RunAsync(Call(whole, action, limit ?? TimeSpan.FromSeconds(20)), TestContext.Current.CancellationToken);
    }

    private static HookCall Call(string[] command, HookAction action, TimeSpan limit) => new(action, "shop", new NodeName("n1"), "2001:db8::11", "eth0",
        new VipSpec { Name = "front", Address = IPAddress.Parse("2001:db8::10"), PrefixLength = 64, Hook = new VipHookSpec(command) { TimeLimit = limit } }, new Epoch(2, 7));
}
