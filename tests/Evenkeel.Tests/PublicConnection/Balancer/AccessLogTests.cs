using System.Collections.Concurrent;
using System.Text.Json;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed class AccessLogTests : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("evenkeel-access-");

    private string LogFile => Path.Combine(directory.FullName, "access.log");

    [Fact]
    public async Task Combined_Request_IsOneEscapedLine()
    {
        await using var a = new ScriptedInstance("aaa");
        await using (var door = await HttpDoor.OpenAsync(Logged(AccessLogFormat.Combined), null, a.Destination()))
        {
            await door.GetAsync("/a%0Ab?c=%22", "Referer: http://x/\"y\\", "User-Agent: caf\u00e9");
            await door.GetAsync("/none", "Referer: ");
        }
        var lines = await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken);
        Assert.Equal(2, lines.Length);
        Assert.Matches(@"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] ""GET /a%0Ab\?c=%22 HTTP/1\.1"" 200 3 ""http://x/\\""y\\\\"" ""caf\\xc3\\xa9""$", lines[0]);
        Assert.EndsWith("\"GET /none HTTP/1.1\" 200 3 \"-\" \"-\"", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_RequestThatNeededTwoInstances_SaysWhoServedIt()
    {
        await using var dead = new ScriptedInstance("dead", _ => Task.FromResult<string?>(null));
        await using var alive = new ScriptedInstance("alive");
        await using (var door = await HttpDoor.OpenAsync(Logged(AccessLogFormat.Json), null, dead.Destination(), alive.Destination()))
        {
            Assert.Contains("200 OK", await door.GetAsync("/x"), StringComparison.Ordinal);
            Assert.Contains("200 OK", await door.GetAsync("/x"), StringComparison.Ordinal);
        }
        var lines = (await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken)).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.All(lines, line => Assert.Equal(("GET", "/x", 200, 5, "web", "alive", "shop.example"), (line.GetProperty("method").GetString(), line.GetProperty("target").GetString(),
            line.GetProperty("status").GetInt32(), line.GetProperty("bytes").GetInt32(), line.GetProperty("service").GetString(), line.GetProperty("node").GetString(), line.GetProperty("host").GetString())));
        Assert.Contains(lines, line => line.GetProperty("attempts").GetInt32() == 2);
    }

    [Fact]
    public async Task NobodyServes_TheMaintenancePage_IsLoggedToo()
    {
        await using (var door = await HttpDoor.OpenAsync(Logged(AccessLogFormat.Combined), null)) await door.GetAsync("/");
        Assert.Contains("\" 503 ", Assert.Single(await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_IsRenamed_LinesGoToANewOne()
    {
        await using var a = new ScriptedInstance("a");
        await using (var door = await HttpDoor.OpenAsync(Logged(AccessLogFormat.Combined), null, a.Destination()))
        {
            await door.GetAsync("/1");
            Assert.True(SpinWait.SpinUntil(() => File.Exists(LogFile) && new FileInfo(LogFile).Length > 0, 10_000));
            File.Move(LogFile, LogFile + ".1");
            await door.GetAsync("/2");
        }
        Assert.Contains("/1 ", Assert.Single(await File.ReadAllLinesAsync(LogFile + ".1", TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        Assert.Contains("/2 ", Assert.Single(await File.ReadAllLinesAsync(LogFile, TestContext.Current.CancellationToken)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_CannotBeWritten_RequestsAreServedAndOneIsTold()
    {
        var told = new ConcurrentQueue<string>();
        await using var a = new ScriptedInstance("a");
        await using (var door = await HttpDoor.OpenAsync(new DoorSpec { Http = new HttpDoorSpec { AccessLog = new AccessLogSpec(Path.Combine(LogFile, "no", "where"), AccessLogFormat.Json) } }, told.Enqueue, a.Destination()))
            for (var i = 0; i < 3; i++) Assert.Contains("200 OK", await door.GetAsync("/"), StringComparison.Ordinal);
        Assert.Contains("cannot be written", Assert.Single(told), StringComparison.Ordinal);
    }

    public void Dispose() => directory.Delete(recursive: true);

    private DoorSpec Logged(AccessLogFormat format) => new() { Http = new HttpDoorSpec { AccessLog = new AccessLogSpec(LogFile, format) } };
}
