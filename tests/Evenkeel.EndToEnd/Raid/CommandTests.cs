using System.Text.Json;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>The commands as a user types them, in processes of their own, with nbdcopy as the client and mdadm as the witness.</summary>
[Trait("Peer", "mdadm, libnbd"), Trait("Machine", "shared")]
public sealed class CommandTests : IAsyncLifetime
{
    private readonly MemberFiles _files = new(6, 16 << 20);

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        await TryAsync("raid", "stop", "vol");
        await TryAsync("raid", "stop", "rich");
        _files.Dispose();
    }

    [Fact]
    public async Task LifeOfAnArray_CreateToStop_KeepsItsData()
    {
        var members = _files.Paths.Take(4).ToArray();
        await RunAsync(["raid", "create", "--level", "5", "--name", "vol", "--assume-clean", "--chunk", "64", .. members]);
        Assert.Equal(4, (await TryAsync(["raid", "create", "--level", "5", "--name", "vol", .. members])).Code);
        var uri = (await RunAsync(["raid", "assemble", "--limit", "4", .. members])).Trim();
        Assert.StartsWith("nbd+unix:///vol?socket=", uri, StringComparison.Ordinal);
        Assert.Equal(1, (await TryAsync(["raid", "assemble", .. members])).Code); // the members are locked

        var (source, copy) = (_files.Beside("in"), _files.Beside("out"));
        var content = new byte[4 << 20];
        new Random(3).NextBytes(content);
        await File.WriteAllBytesAsync(source, content, TestContext.Current.CancellationToken);
        await Tool.RunAsync("nbdcopy", "--flush", source, uri);

        await RunAsync("raid", "replace", "vol", members[1], "--by", _files.Paths[4]);
        var replaced = await UntilAsync(array => Member(array, _files.Paths[4]) == "inSync" || Member(array, _files.Paths[4]) == "InSync");
        Assert.Equal("Faulty", Member(replaced, members[1]), ignoreCase: true);
        await RunAsync("raid", "limit", "vol", "0");
        await RunAsync("raid", "remove", "vol", members[1]);
        await RunAsync("raid", "fail", "vol", "0");
        Assert.Equal(1, (await TryAsync("raid", "status", "vol")).Code);
        Assert.Equal(4, (await TryAsync("raid", "fail", "vol", "2")).Code);
        await RunAsync("raid", "remove", "vol", members[0]);
        await RunAsync("raid", "add", "vol", members[0]);
        await UntilAsync(array => array.GetProperty("state").GetString() != "degraded");
        Assert.Contains("0 sectors disagreed", await RunAsync("raid", "scrub", "vol"), StringComparison.Ordinal);
        await RunAsync("raid", "stop", "vol");
        Assert.Contains("Array State : AAAA ", await Tool.RunAsync("mdadm", "--examine", members[0]), StringComparison.Ordinal);

        var again = (await RunAsync("raid", "assemble", members[0], _files.Paths[4], members[2], members[3])).Trim();
        await Tool.RunAsync("nbdcopy", again, copy);
        var read = await File.ReadAllBytesAsync(copy, TestContext.Current.CancellationToken);
        Assert.True(read.AsSpan(0, content.Length).SequenceEqual(content));
    }

    [Fact]
    public async Task SpareGroup_AMemberIsLost_TheOtherArraysSpareTakesItsPlace()
    {
        await RunAsync(["raid", "create", "--level", "1", "--name", "rich", "--assume-clean", "--spares", "1", .. _files.Paths.Take(3)]);
        await RunAsync(["raid", "create", "--level", "5", "--name", "vol", "--assume-clean", "--chunk", "64", "--ppl", .. _files.Paths.Skip(3)]);
        await RunAsync(["raid", "assemble", "--spare-group", "all", .. _files.Paths.Take(3)]);
        var uri = (await RunAsync(["raid", "assemble", "--spare-group", "all", .. _files.Paths.Skip(3)])).Trim();
        var (source, copy) = (_files.Beside("in"), _files.Beside("out"));
        var content = new byte[4 << 20];
        new Random(4).NextBytes(content);
        await File.WriteAllBytesAsync(source, content, TestContext.Current.CancellationToken);
        await Tool.RunAsync("nbdcopy", "--flush", source, uri);
        await RunAsync("raid", "fail", "vol", "1");
        await UntilAsync(array => array.GetProperty("state").GetString() != "degraded" && string.Equals(Member(array, _files.Paths[2]), "InSync", StringComparison.OrdinalIgnoreCase));
        await Tool.RunAsync("nbdcopy", uri, copy);
        Assert.True((await File.ReadAllBytesAsync(copy, TestContext.Current.CancellationToken)).AsSpan(0, content.Length).SequenceEqual(content));
        Assert.DoesNotContain(_files.Paths[2], await RunAsync("raid", "status", "rich"), StringComparison.Ordinal);

        // Both start again with the lists that they were started with, and the one that lent leaves the lent one out.
        await RunAsync("raid", "stop", "rich");
        Assert.Equal(1, (await TryAsync(["raid", "assemble", .. _files.Paths.Take(3)])).Code); // the other array holds it
        await RunAsync("raid", "stop", "vol");
        await RunAsync(["raid", "assemble", .. _files.Paths.Take(3)]);
        Assert.Contains("PPL", await Tool.RunAsync("mdadm", "--examine", _files.Paths[2]), StringComparison.Ordinal);
    }

    private static string Program => Path.Combine(AppContext.BaseDirectory, "evenkeel");

    private Task<string> RunAsync(params string[] arguments) => Tool.RunAsync("env", [Run, Program, .. arguments]);

    private Task<(int Code, string Output)> TryAsync(params string[] arguments) => Tool.TryAsync("env", [Run, Program, .. arguments]);

    // Short, for the path of a Unix socket is; and not that of the machine's own arrays.
    private string Run => "EVENKEEL_RAID_RUN=" + _files.Beside("run");

    private static string? Member(JsonElement array, string device) => array.GetProperty("members").EnumerateArray()
        .FirstOrDefault(member => member.GetProperty("device").GetString() == device) is { ValueKind: JsonValueKind.Object } found ? found.GetProperty("state").GetString() : null;

    private async Task<JsonElement> UntilAsync(Func<JsonElement, bool> enough)
    {
        while (true)
        {
            using var document = JsonDocument.Parse((await TryAsync("raid", "status", "vol", "--output", "json")).Output);
            var array = document.RootElement[0].Clone();
            if (enough(array)) return array;
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        }
    }
}
