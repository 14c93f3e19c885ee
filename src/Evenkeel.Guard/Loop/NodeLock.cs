namespace Evenkeel.Guard.Loop;

/// <summary>One guard a node: an exclusive flock(2) on a file in the node's state directory, let go by the kernel when the process ends.</summary>
internal sealed class NodeLock : IDisposable
{
    private readonly FileStream _file;
    private NodeLock(FileStream file) => _file = file;

    /// <returns>Null when another guard holds it.</returns>
    /// <exception cref="UnauthorizedAccessException">The directory cannot be written.</exception>
    public static NodeLock? TryTake(string stateDirectory)
    {
        Directory.CreateDirectory(stateDirectory);
        try
        {
            // FileShare.None is flock(LOCK_EX | LOCK_NB) here.
            var file = new FileStream(Path.Combine(stateDirectory, "guard.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            file.SetLength(0);
            file.Write(System.Text.Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"));
            file.Flush();
            return new NodeLock(file);
        }
        catch (IOException error) when (error.HResult == 11) { return null; }
    }

    public void Dispose() => _file.Dispose();
}
