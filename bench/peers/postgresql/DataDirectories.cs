using Evenkeel.Agent.Local;

namespace Evenkeel.PostgreSqlBench;

/// <summary>A directory a node that PostgreSQL's own user can reach; all gone when disposed.</summary>
internal sealed class DataDirectories : IDisposable
{
    private const UnixFileMode Passable = (UnixFileMode)0b111_001_001;

    private static readonly string[] s_nodes = ["n1", "n2", "n3"];

    public DataDirectories()
    {
        foreach (var path in s_nodes.Select(Of).Prepend(Root))
        {
            File.SetUnixFileMode(Directory.CreateDirectory(path).FullName, Passable);
        }
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("postgresql-bench-").FullName;

    public string Of(string node) => Path.Combine(Root, node);

    /// <summary>Gives it to PostgreSQL's user, who writes there itself.</summary>
    public Task GiveAwayAsync(string node) => SystemCommand.RunAsync(["chown", "postgres:postgres", Of(node)], CancellationToken.None);

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
