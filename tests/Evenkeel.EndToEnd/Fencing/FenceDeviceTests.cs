using System.Globalization;
using Evenkeel.Core.Model;
using Evenkeel.Services.Fencing;
using Xunit;

namespace Evenkeel.EndToEnd.Fencing;

/// <summary>Stock fence agents of Debian, unchanged; with fence_docker, processes really end.</summary>
[Collection("namespaces")]
[Trait("needs", "fence-agents")]
[Trait("Machine", "shared")]
public sealed class FenceDeviceTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("ek-fence-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Off_ByAStockAgent_EndsEveryProcessOfTheNodeAndIsConfirmed()
    {
        using var node = new NamespaceNode(18971);
        node.AwaitProcesses();
        var device = new FenceDevice(node.Name, Docker(node));
        Assert.Empty(await device.MonitorAsync(Token));
        Assert.False(await device.IsOffAsync(Token));
        Assert.True(node.Lives);
        var result = await device.OffAsync(Token);
        Assert.True(result.Confirmed, result.Reason);
        Assert.False(node.Lives);
        Assert.True(await device.IsOffAsync(Token));
    }

    [Fact]
    public async Task Off_WhoseDeviceMeetsAnotherNode_IsNotConfirmed()
    {
        using var node = new NamespaceNode(18972) { Lies = true };
        node.AwaitProcesses();
        var result = await new FenceDevice(node.Name, Docker(node) with { TimeLimit = TimeSpan.FromSeconds(3) }).OffAsync(Token);
        Assert.False(result.Confirmed);
        Assert.True(node.Lives);
    }

    [Fact]
    public async Task Off_WhoseFirstLevelFails_IsDoneByTheSecond()
    {
        using var node = new NamespaceNode(18973);
        node.AwaitProcesses();
        var dead = new FenceSpec("fence_docker", new Dictionary<string, string> { ["ip"] = "127.0.0.1", ["ipport"] = "18979", ["plug"] = node.Name, ["ssl_insecure"] = "1" })
        {
            TimeLimit = TimeSpan.FromSeconds(5), Then = [Docker(node)],
        };
        var device = new FenceDevice(node.Name, dead);
        Assert.Contains("fence_docker for", Assert.Single(await device.MonitorAsync(Token)), StringComparison.Ordinal);
        var result = await device.OffAsync(Token);
        Assert.True(result.Confirmed, result.Reason);
        Assert.False(node.Lives);
    }

    [Fact]
    public async Task Dummy_TheProtocolInFull_OffStatusOnMonitor()
    {
        var file = Path.Combine(_directory, "status");
        await File.WriteAllTextAsync(file, "on", Token);
        var device = new FenceDevice("n2", new FenceSpec("fence_dummy", new Dictionary<string, string> { ["status_file"] = file }));
        Assert.Empty(await device.MonitorAsync(Token));
        Assert.False(await device.IsOffAsync(Token));
        var off = await device.OffAsync(Token);
        Assert.True(off.Confirmed, off.Reason);
        Assert.Equal("off", await File.ReadAllTextAsync(file, Token));
        var on = await device.OnAsync(Token);
        Assert.True(on.Confirmed, on.Reason);
        Assert.False(await device.IsOffAsync(Token));
    }

    [Fact]
    public async Task Off_ByAnAgentThatHangs_FailsWithinItsLimit()
    {
        var result = await new FenceDevice("n2", Script("sleep 60") with { TimeLimit = TimeSpan.FromMilliseconds(300) }).OffAsync(Token);
        Assert.False(result.Confirmed);
        Assert.Contains("no answer within 0.3 s", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_GetsItsPasswordFromTheFileAtEachUse_AndNobodyReadsItInTheResult()
    {
        var password = Path.Combine(_directory, "password");
        var spec = Script($"cat > {_directory}/input; echo wrong password $(grep ^password= {_directory}/input) >&2; exit 1");
        spec = spec with { Parameters = new Dictionary<string, string> { ["password_file"] = password, ["ip"] = "10.0.0.9", ["action"] = "reboot" } };
        await File.WriteAllTextAsync(password, "s3cret\n", Token);
        var result = await new FenceDevice("n2", spec).OffAsync(Token);
        Assert.Equal(["action=off", "ip=10.0.0.9", "nodename=n2", "password=s3cret"], (await File.ReadAllLinesAsync(Path.Combine(_directory, "input"), Token)).Order(StringComparer.Ordinal));
        Assert.Contains("wrong password password=***", result.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Off_ByAnAgentThatIsNotInstalled_SaysSo()
    {
        var result = await new FenceDevice("n2", new FenceSpec("fence_nowhere", new Dictionary<string, string>())).OffAsync(Token);
        Assert.False(result.Confirmed);
        Assert.Contains("not installed", result.Reason, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static FenceSpec Docker(NamespaceNode node) => new("fence_docker", new Dictionary<string, string>
    {
        ["ip"] = "127.0.0.1", ["ipport"] = node.Port.ToString(CultureInfo.InvariantCulture), ["plug"] = node.Name, ["ssl_insecure"] = "1",
    }) { TimeLimit = TimeSpan.FromSeconds(15) };

    private FenceSpec Script(string body)
    {
        var path = Path.Combine(_directory, "fence_script");
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        return new FenceSpec(path, new Dictionary<string, string>());
    }
}
