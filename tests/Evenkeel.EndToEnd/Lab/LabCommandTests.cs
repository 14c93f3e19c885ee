using System.Diagnostics;
using Evenkeel.Agent.Local;
using Evenkeel.Cli;
using Evenkeel.EndToEnd.Raid;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>A lab by its own commands, as a person has it in two terminals.</summary>
[Trait("needs", "root")]
[Trait("Machine", "shared")]
public sealed class LabCommandTests
{
    private const string Cluster = "twoterms";
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Down_FromAnotherTerminal_EndsTheLab_OrClearsAwayWhatAKilledOneLeft()
    {
        var example = Path.Combine(Checkout.Root, "examples", "web", "cluster.yaml");
        var place = Directory.CreateTempSubdirectory("evenkeel-twoterms-");
        try
        {
            var file = Path.Combine(place.FullName, "cluster.yaml");
            await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(example, Token)).Replace("cluster: demo", $"cluster: {Cluster}", StringComparison.Ordinal)
                .Replace("./service", Path.Combine(Checkout.Root, "examples", "web", "service"), StringComparison.Ordinal), Token);
            using (var lab = await ServingAsync(file))
            {
                await Tool.RunAsync(Checkout.Program, "lab", "exec", "client", "curl", "-sSf", "-m", "5", "http://203.0.113.10/", "--cluster", Cluster);
                await DownAsync();
                await lab.WaitForExitAsync(Token);
                Assert.Equal(0, lab.ExitCode);
                await NothingIsLeftAsync();
            }

            using (var lab = await ServingAsync(file))
            {
                lab.Kill();
                await lab.WaitForExitAsync(Token);
                await DownAsync();
                await NothingIsLeftAsync();
            }

            var (code, why) = await Tool.TryAsync(Checkout.Program, "lab", "down", "--cluster", Cluster);
            Assert.Equal(ExitCode.Failed, code);
            Assert.Contains("lab", why, StringComparison.Ordinal);
        }
        finally
        {
            place.Delete(recursive: true);
        }
    }

    private static Task DownAsync() => Tool.RunAsync(Checkout.Program, "lab", "down", "--cluster", Cluster);

    private static async Task<Process> ServingAsync(string file)
    {
        var lab = Process.Start(new ProcessStartInfo(Checkout.Program, ["lab", file]) { RedirectStandardOutput = true })!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        for (string? line; (line = await lab.StandardOutput.ReadLineAsync(limit.Token)) is null || !line.Contains("takes it down", StringComparison.Ordinal);)
            Assert.NotNull(line);
        return lab;
    }

    private static async Task NothingIsLeftAsync()
    {
        Assert.False(Directory.Exists(LocalPaths.Cluster(Cluster)), "files of the lab stayed");
        Assert.DoesNotContain(await LabNetwork.ExistingNamespaces(), name => name.Contains(Cluster, StringComparison.Ordinal));
        Assert.DoesNotContain(await RunningPrograms.AllAsync(), one => one.Words.Any(word => word.Contains(LocalPaths.Cluster(Cluster) + "/", StringComparison.Ordinal)));
    }
}
