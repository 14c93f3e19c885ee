using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;
using Evenkeel.Services.Ocf.Tools;
using Xunit;

namespace Evenkeel.Tests.Services.Ocf;

/// <summary>The cluster tools, called as stock agents call them.</summary>
public sealed class ToolDeskTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-tools-").FullName;
    private readonly ClusterView _view = new("n1", ["n1", "n2"], [new ResourceView("svc", "heartbeat:redis", true, ["n1", "n2"], "n2")]);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("crm_master -Q -l reboot -v 100", "crm_attribute -N n1 -l reboot -n master-svc -G -q", "100\n")]
    [InlineData("crm_attribute -p -v 7", "crm_master -l reboot -G --quiet", "7\n")]
    [InlineData("crm_attribute --type crm_config --name svc_REPL_INFO -s redis_replication -v n2 -q", "crm_attribute --type crm_config --name svc_REPL_INFO -s redis_replication --query -q", "n2\n")]
    [InlineData("crm_attribute -l forever --node=n2 -n data -v LATEST", "crm_attribute -l forever -N n2 -n data -G -q", "LATEST\n")]
    [InlineData("crm_attribute --lifetime=reboot --name=x --node=n1 --update=5", "crm_attribute -N n1 -l reboot --name x", "scope=status  name=x value=5\n")]
    [InlineData("attrd_updater -n status -v STREAMING|SYNC", "crm_attribute -N n1 -l reboot -n status -GQ", "STREAMING|SYNC\n")]
    [InlineData("attrd_updater -p -N n2 -n svc-gtid -U 0-1-7", "attrd_updater -p -N n2 -n svc-gtid -Q", "name=\"svc-gtid\" host=\"n2\" value=\"0-1-7\"\n")]
    [InlineData("crm_attribute -n fails -l reboot -v fails++", "crm_attribute -n fails -l reboot -G -q", "1\n")]
    [InlineData("crm_resource -r svc -z -p cpu -v 2", "crm_resource -Q -r svc -z -g cpu", "2\n")]
    public async Task Attribute_SetByOneTool_IsAnsweredByAnother(string set, string query, string expected)
    {
        Assert.Equal(0, (await CallAsync(set)).ExitCode);
        Assert.Equal(new ToolAnswer(0, expected, ""), await CallAsync(query));
    }

    [Fact]
    public async Task Attribute_Deleted_IsNotFound_UnlessADefaultIsGiven()
    {
        await CallAsync("crm_master -l reboot -v 5");
        Assert.Equal(0, (await CallAsync("crm_master -l reboot -D")).ExitCode);
        Assert.Equal(105, (await CallAsync("crm_master -l reboot -G")).ExitCode);
        Assert.Equal("9\n", (await CallAsync("crm_attribute -l reboot -n none -G -q -d 9")).Output);
    }

    [Fact]
    public async Task Attributes_OutliveTheAgent_AndThoseUntilTheBootDoNotOutliveIt()
    {
        await CallAsync("crm_master -l reboot -v 5");
        await CallAsync("crm_attribute -l forever -n kept -v yes");
        var path = Path.Combine(_directory, "attributes.json");
        Assert.Equal(2, (await new AttributeFile(path, "boot").AllAsync(Token)).Count);
        Assert.Equal("kept", Assert.Single(await new AttributeFile(path, "another boot").AllAsync(Token)).Key.Name);
    }

    [Fact]
    public async Task State_IsXml_ThatAgentsRecognise()
    {
        // The very expression of heartbeat:redis.
        Assert.Matches("resource.*id=\"svc\".* role=\"(Promoted|Master)\".* active=\"true\".* orphaned=\"false\".* failed=\"false\"", (await CallAsync("crm_mon -1 --output-as=xml")).Output);
        await CallAsync("crm_attribute -N n2 -l reboot -n rmq -v cookie");
        Assert.Contains("value=\"cookie\"", (await CallAsync("cibadmin", "-Q", "--xpath", "//node_state[@crmd='online']//nvpair[@name='rmq']")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("crm_node -n", "n1\n")]
    [InlineData("crm_node -p", "n1 n2\n")]
    [InlineData("crm_node -q", "1\n")]
    [InlineData("crm_resource -W -r svc", "resource svc is running on: n1\nresource svc is running on: n2 Promoted\n")]
    public async Task Question_IsAnswered(string call, string expected) => Assert.Equal(expected, (await CallAsync(call)).Output);

    [Theory]
    [InlineData("crm_attribute -G")]
    [InlineData("crm_attribute --nonsense")]
    [InlineData("crm_resource --ban -r svc")]
    [InlineData("cibadmin -R --xml-text <cib/>")]
    public async Task Call_ThatCannotBeDone_FailsWithWords(string call)
    {
        var answer = await CallAsync(call);
        Assert.NotEqual(0, answer.ExitCode);
        Assert.NotEmpty(answer.Errors);
    }

    private Task<ToolAnswer> CallAsync(string line) => CallAsync(line.Split(' ')[0], line.Split(' ')[1..]);

    private Task<ToolAnswer> CallAsync(string program, params string[] arguments) =>
        new ToolDesk(new AttributeFile(Path.Combine(_directory, "attributes.json"), "boot"), () => _view).AnswerAsync(new ToolCall("svc", program, arguments), Token);
}
