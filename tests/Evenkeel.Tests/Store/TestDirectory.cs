namespace Evenkeel.Tests.Store;

/// <summary>
/// A fresh directory in memory where the system has one: unit tests say nothing about a disk's durability, and shall not wait
/// for it (the end-to-end tests do).
/// </summary>
internal static class TestDirectory
{
    public static DirectoryInfo InMemory(string prefix) =>
        Directory.Exists("/dev/shm") ? Directory.CreateDirectory($"/dev/shm/{prefix}{Guid.NewGuid():n}") : Directory.CreateTempSubdirectory(prefix);
}
