use super::*;
use crate::model::TaskStatus;

/// Checks the counters of a line, ordered by kind: `Step 3/10, Percent 45%`. `-` means none.
#[track_caller]
fn check(line: &str, expected: &str) {
    let mut counters = parse_sure(line)
        .map(|found| found.counters)
        .unwrap_or_default();
    counters.sort_by_key(|(kind, _)| *kind);
    counters.reverse();
    let brief = counters.iter().map(|(kind, counter)| {
        let pair = match (counter.current, counter.total) {
            (Some(current), Some(total)) => format!(" {current}/{total}"),
            _ => String::new(),
        };
        let percentage = counter
            .percentage
            .map_or(String::new(), |percentage| format!(" {percentage}%"));
        format!("{kind:?}{pair}{percentage}")
    });
    let brief = brief.collect::<Vec<_>>().join(", ");
    assert_eq!(
        if brief.is_empty() { "-" } else { &brief },
        expected,
        "{line:?}"
    );
}

#[test]
fn a_word_beside_a_pair_makes_it_a_counter() {
    for (line, expected) in [
        ("Epoch 3/250", "Phase 3/250"),
        (
            "Epoch: 003/010 | Batch 0100/0469 | Cost: 0.1",
            "Phase 3/10, Item 100/469",
        ),
        (
            "Epoch [3/10], Step [100/600], Loss: 0.31",
            "Phase 3/10, Step 100/600",
        ),
        ("Task 3/5: hang the pictures", "Phase 3/5"),
        ("Stage 2 of 4 - tests", "Phase 2/4"),
        ("Phase 2/3", "Phase 2/3"),
        ("Step 12/13 : COPY studio/ /opt/studio", "Item 12/13"),
        ("[1/2] STEP 5/9: RUN make ink", "Step 5/9, Bracket 1/2"),
        ("STEP 1/6: Image Processing...", "Step 1/6"),
        ("=== Step #3 of 10 ===", "Step 3/10"),
        ("level=info msg=\"Step 3/10\"", "Step 3/10"),
        ("Iteration 7 / 20: loss 0.3", "Step 7/20"),
        ("Progress: 3/10", "Step 3/10"),
        ("Processing batch 1/3 (50 stories)", "Item 1/3"),
        (
            "3 of 10 START sql table model dev.orders ........ [RUN]",
            "Item 3/10",
        ),
        (
            "3 of 10 OK created sql table model dev.orders .... [SELECT 5 in 0.31s]",
            "Item 3/10",
        ),
        (
            "...............................................................  63 / 189 ( 33%)",
            "Item 63/189 33%",
        ),
        ("Generating static pages (3/10)", "Item 3/10"),
        (
            "image 1/2 /data/images/bus.jpg: 640x480 4 persons",
            "Item 1/2",
        ),
        ("Processed 1,200/5,678 records", "Item 1200/5678"),
        ("Downloaded 3 of 10", "Item 3/10"),
        ("3/10 files checked 30% done", "Item 3/10, Percent 30%"),
        (".F.       3 / 10 ( 30%)", "Item 3/10 30%"),
        ("3/10 mix red      OK       0.02s", "Item 3/10"),
        ("45/100 files processed", "Item 45/100"),
        ("3 of 10 steps (30%) done", "Step 3/10 30%"),
        (
            " 3/10 Test  #3: parser_test ......   Passed    0.01 sec",
            "Item 3/10",
        ),
        (
            "  Installing       : glibc-2.34.x86_64              3/10 ",
            "Item 3/10",
        ),
        (
            "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...",
            "Item 2/3",
        ),
        (
            "      3/100      1.2G     0.0456     0.0321     0.0123        12       640",
            "Phase 3/100",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_pair_in_brackets_is_a_counter() {
    for (line, expected) in [
        ("[3/10] Linking", "Bracket 3/10"),
        (
            "[412/518] Linking CXX executable ink_mixer_test",
            "Bracket 412/518",
        ),
        (
            "[1,234 / 5,678] Compiling foo/bar.cc; 3s linux-sandbox",
            "Bracket 1234/5678",
        ),
        ("[ 3 of 10 ] compiling", "Bracket 3/10"),
        (
            "#9 [2/5] RUN pip install -r requirements.txt",
            "Bracket 2/5",
        ),
        ("#9 [builder 2/6] RUN make", "Bracket 2/6"),
        ("#9 [linux/amd64 builder 3/5] RUN make", "Bracket 3/5"),
        (" => CACHED [stage-1 2/6] WORKDIR /app", "Bracket 2/6"),
        ("[4/4] Building fresh packages...", "Bracket 4/4"),
        (
            "Building shop-api 1.0-SNAPSHOT                     [2/5]",
            "Bracket 2/5",
        ),
        ("Rebasing (3/10)", "Bracket 3/10"),
        ("(3/10) installing glibc", "Bracket 3/10"),
        (
            "Finished task 3.0 in stage 1.0 (TID 4) in 123 ms on host (executor 1) (4/108)",
            "Bracket 4/108",
        ),
        ("🚀 [2/5] Deploying", "Bracket 2/5"),
        (
            "[ 12/345  3s] CopyFiles Library/Bee/artifacts",
            "Bracket 12/345",
        ),
        (
            "        PASS [   0.005s] (3/10) parser tests::a",
            "Bracket 3/10",
        ),
        ("[3 of 10] Compiling Main", "Bracket 3/10"),
        (
            "[3/120] [chromium] › login.spec.ts:3:5 › logs in",
            "Bracket 3/120",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_pair_beside_a_bar_is_a_counter() {
    for (line, expected) in [
        (
            " 67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]",
            "Bar 39/58 67%",
        ),
        (
            "a:  55%|█████▌    | 32/58 [00:03<00:01, 24.73it/s]a:  67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]",
            "Bar 39/58 67%",
        ),
        (
            "model.bin:  45%|████▌     | 1.2G/2.7G [00:10<00:12, 120MB/s]",
            "Percent 45%",
        ),
        (
            "data.tar:  45%|████▌     | 1234567/2700000 [00:10<00:12, 120kB/s]",
            "Percent 45%",
        ),
        (
            "Epoch 3:  45%|████▌     | 45/100 [00:10<00:12, 4.5it/s]",
            "Bar 45/100 45%",
        ),
        (
            "Receiving objects: 100% (5208/5208), 12.30 MiB | 9.10 MiB/s, done.",
            "Bar 5208/5208 100%",
        ),
        ("Updating files:  45% (450/1000)", "Bar 450/1000 45%"),
        (
            "    [Stage 2:=====>              (21 + 8) / 96]",
            "Bar 21/96",
        ),
        (
            "178/178 [==============================] - 2s 12ms/step - loss: 0.15",
            "InnerBar 178/178",
        ),
        (
            "  1/178 [..............................] - ETA: 1:23",
            "InnerBar 1/178",
        ),
        (
            "178/178 ━━━━━━━━━━━━━━━━━━━━ 2s 12ms/step",
            "InnerBar 178/178",
        ),
        (
            "    Building [=======>           ] 45/120: serde, syn",
            "Bar 45/120",
        ),
        ("[00:00:10] [####>------] 45/100 (3m)", "Bar 45/100"),
        (
            "Train Epoch: 1 [6400/60000 (11%)]\tLoss: 0.3",
            "Bar 6400/60000 11%",
        ),
        (
            "[ab/123456] process > ALIGN (3) [ 42%] 3 of 7",
            "Bar 3/7 42%",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_percentage_of_progress_is_a_counter() {
    for (line, expected) in [
        ("Progress: 45%", "Percent 45%"),
        ("Overall progress: 45.7 %", "Percent 45%"),
        ("Progress: [ 45%]", "Percent 45%"),
        ("Progress: [#####.....] 50%", "Percent 50%"),
        ("45% complete", "Percent 45%"),
        ("Import 45% done (3 min left)", "Percent 45%"),
        ("<============-> 96% EXECUTING [4m 12s]", "Percent 96%"),
        ("<-------------> 0% CONFIGURING [1s]", "Percent 0%"),
        ("41% building 118/118 modules 0 active", "Percent 41%"),
        ("92% sealing asset processing TerserPlugin", "Percent 92%"),
        ("tests/test_a.py::test_b[1/2] PASSED [ 75%]", "Percent 75%"),
        ("tests/test_memory.py .....           [ 33%]", "Percent 33%"),
        ("[gw0] [ 25%] PASSED tests/test_a.py::test_b", "Percent 25%"),
        (
            "[ 45%] Building CXX object src/CMakeFiles/memory.cpp.o",
            "Percent 45%",
        ),
        (
            "     45% |██████████████▌                 | 1.2MB 3.4MB/s",
            "Percent 45%",
        ),
        (
            "file.zip        45%[=========>          ]  12.3M  1.2MB/s",
            "Percent 45%",
        ),
        ("Reading package lists... 45%", "Percent 45%"),
        ("45.2% of 12.34MiB at 1.20MiB/s ETA 00:03", "Percent 45%"),
        ("Progress: Downloading tool 1.0... 45%", "Percent 45%"),
        (
            "#progress_metric: host=algo-1, completed 45 % of epochs",
            "Percent 45%",
        ),
        ("default   [  45% ] 10 VUs  0m10s/0m30s", "Percent 45%"),
        (
            "Progress:  45%|███████▊         |  ETA: 0:00:03",
            "Percent 45%",
        ),
        ("numpy-1.2 | 5.2 MB | ########## | 45% ", "Percent 45%"),
        (
            " 45/100 [============>---------------]  45%",
            "Bar 45/100 45%",
        ),
        (
            "BUNDLE ./index.js ▓▓▓▓▓▓▓░░░░░░░░░ 45.2% (450/1000)",
            "Bar 450/1000 45%",
        ),
        ("45% [Working]", "Percent 45%"),
        ("Downloading model: 45%", "Percent 45%"),
        (
            "Downloading ━━━━━━━━━━━━━━━━━━━━ 45% 0:00:10",
            "Percent 45%",
        ),
        ("  1,234,567  45%   12.34MB/s    0:00:03", "Percent 45%"),
        ("reading sources... [ 45%] index", "Percent 45%"),
        ("########                 45.2%", "Percent 45%"),
        ("In:45.2% 00:00:18.1 [00:00:21.9] Out:797k", "Percent 45%"),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_counter_and_a_percentage_that_agree_are_one() {
    for (line, expected) in [
        ("Progress: 30% (3/10)", "Bar 3/10 30%"),
        ("Step 3/10 (30%)", "Step 3/10 30%"),
        ("(30 %) Step 3/10", "Step 3/10 30%"),
        ("[######----]  60% 12/20 pictures", "Bar 12/20 60%"),
        (
            " 20% (6 of 30) |###      | Elapsed Time: 0:00:04 ETA: 0:00:16",
            "Bar 6/30 20%",
        ),
        ("Transferred:           18 / 62, 29%", "Item 18/62 29%"),
        (
            "Painted: 300/900 33.4%; Time: 7s; ETA: 14s",
            "Bar 300/900 33%",
        ),
        // They count different things.
        ("Painting file 3/10: 80%", "Item 3/10"),
        ("Progress: 50%, brushes 3/10", "Percent 50%"),
        // One alone is no progress, and two are not either.
        ("the mix has 3/10 (30%) of red", "-"),
        ("Dry: 98% (9838/10000)", "-"),
        ("Downloading 45% 4500/10000 kB", "-"),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_counter_may_have_separators_and_a_remaining_time() {
    for (line, expected) in [
        ("Processed 1,200/5,678 pictures", "Item 1200/5678"),
        ("Processed 1.200/5.678 pictures", "Item 1200/5678"),
        ("Processed 1'200 of 5'678 pictures", "Item 1200/5678"),
        ("Processed 1 200 / 5 678 pictures", "Item 1200/5678"),
        ("[1\u{202f}200/5\u{202f}678] Painting", "Bracket 1200/5678"),
        ("pictures 12/80, ETA 0:05:10", "Bar 12/80"),
        ("red 12/80 remaining: 46.4s", "Bar 12/80"),
        ("wall 0 | ETA: --:-- | 0/40", "Bar 0/40"),
        ("[1:12] 43.10%  812 pictures", "Percent 43%"),
        (" 5350K .......... .......... 92%  117M 0s", "Percent 92%"),
        ("40 percent painted, 60 percent complete.", "Percent 60%"),
        ("Done   5 out of  24 | elapsed:   12.2s", "Item 5/24"),
        ("Loading shard 3 of 7", "Item 3/7"),
        ("Loading page 3 of 7", "Item 3/7"),
        ("Weighing pages: 12/60", "Item 12/60"),
        ("ratelimit-remaining: 4810/5000", "-"),
        ("queue 12/80, ETA 0:05:10", "-"),
        ("Loading from port 3/7", "-"),
        ("Loading charts 3/2026", "-"),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_counter_may_have_words_of_other_languages() {
    for (line, expected) in [
        ("進捗: 3/9", "Step 3/9"),
        ("進捗：３／９（33％）", "Step 3/9 33%"),
        ("全体の進捗率 45%", "Percent 45%"),
        ("絵を処理中 (3/9)", "Item 3/9"),
        ("処理済み: 1,200/5,678件", "Item 1200/5678"),
        ("ステップ 3/9: 色を混ぜる", "Step 3/9"),
        ("[変換 3/9] 赤", "Bracket 3/9"),
        ("9件中3件を処理しました", "Item 3/9"),
        ("進度: 3/9 (33%)", "Step 3/9 33%"),
        ("正在转换: 3/9", "Item 3/9"),
        ("已处理 3/9", "Item 3/9"),
        ("步骤 3/9: 上色", "Step 3/9"),
        ("진행률: 33% (3/9)", "Bar 3/9 33%"),
        ("그림 처리 중: 3/9", "Item 3/9"),
        ("9개 중 3개 완료", "Item 3/9"),
        ("Schritt 3 von 9: Rot mischen", "Step 3/9"),
        ("Fortschritt: 33 % (3/9)", "Bar 3/9 33%"),
        ("Bilder verarbeitet: 1.200/5.678", "Item 1200/5678"),
        ("Kopiere Bild 3/9", "Item 3/9"),
        ("Étape 3 sur 9 : mélanger", "Step 3/9"),
        ("Images traitées : 3/9", "Item 3/9"),
        ("Téléchargement 3 sur 9", "Item 3/9"),
        ("Progreso: 3/9", "Step 3/9"),
        ("Procesando cuadro 3 de 9", "Item 3/9"),
        ("Progresso: 33%", "Percent 33%"),
        ("Etapa 3 de 9", "Step 3/9"),
        ("9 基中 3 基が応答しません", "-"),
        ("9件中3件が処理できませんでした", "-"),
        ("使用中: 3/9", "-"),
        ("回答者中 33%", "-"),
        ("其中 3/9", "-"),
        ("正在使用: 3/9", "-"),
        ("응답자 중 33%", "-"),
        ("待機中 3/9", "-"),
        ("사용 중: 3/9", "-"),
        ("成功率: 91%", "-"),
        ("接続を再試行中 3/9", "-"),
        ("Versuch 3 von 9", "-"),
        ("Tentative 3/9", "-"),
        ("Auslastung: 33 %", "-"),
        ("3 de 9 personas", "-"),
    ] {
        check(line, expected);
    }
}

#[test]
fn other_numbers_are_not_progress() {
    for line in [
        "2025/11/15 10:00:00 started",
        "17/01/21 23:41:50 ERROR YarnScheduler: Lost executor 7",
        "due on 11/15",
        "GET /a/3/10 HTTP/1.1 200",
        "using v1.2/3.4 of api",
        "10.0.0.0/16",
        "- CPU usage: 45%",
        "CPU: [|||||     ] 45%",
        "memory usage: 45% done",
        "- Memory: 2.1GB/8GB",
        "5 packets transmitted, 5 received, 0% packet loss, time 4012ms",
        "gallery-6f7c9d5b84-k2x9p  1/1  Running  0  5m12s",
        "/dev/sda1       253M   53M  200M  21% /media",
        "Detection: 50/50, uncertain: 2",
        "Accuracy: 9838/10000 (98%)",
        "Accuracy: 98% (9838/10000)",
        "Statements   : 85.71% ( 6/7 )",
        "50% of requests complete in 42ms",
        "- 90% complete in under 71ms",
        "- Most pictures (50%) complete in ~17ms",
        "a discount of 20% was applied",
        "score 3/10",
        "Attempt 2/3",
        "[2/3] Retrying in 5s",
        "X: deploying... [1/2]",
        "[33%] success: Published 0e58:current",
        "http://localhost:80/443",
        "‘file.zip’ saved [123/123]",
        "[12/345678] process > ALIGN (3)",
        "   45/100%",
        "Step 3/10/2025",
        "Step 12/10",
        "Step 0/0",
        "101% complete",
        "99999999999999999999999999/3 99999999999999999999999999%",
        "Tasks: 5, 3/s",
        "Loaded 12/45 MB",
        "   ━━━━━━━━━━━━━━━━╸━━━━━━━━━━━ 8.1/18.2 MB 5.0 MB/s eta 0:00:03",
        "     ━━━━━━━━━━━━━━━━━━━━━━━━━━ 61/61 kB 3.1 MB/s eta 0:00:00",
        "a1b2c3d4e5f6: Downloading [=====>       ]  8.1MB/18.2MB",
        "a1b2c3d4e5f6: Extracting [============>]  512B/512B",
        "Downloading 1024/2048 bytes",
        "Running 3/3 replicas",
        "running (0m10.0s), 05/10 VUs, 45 complete and 0 interrupted iterations",
        "Uptime 99.9%",
        "sale: 20% off",
        "battery level 3/5",
        "open 24/7",
        "TLS1.2/1.3",
        "Tests: 45/50 passed",
        "(attempt 2/3)",
        "3/3 pods ready",
        "Rated 4/5 stars",
        "[10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200",
        "CPU 45%/100%",
        "Filesystem  1K-blocks  Used  Use%",
        "Connected to 10.0.0.1:80/443",
        "--shard=3/8",
        "Test Suites: 3 passed, 3 total",
        "see page 3/7 of the book",
        "take steps 2/3 of the manual with care",
        "found 9 ports on page 2/4",
        "open files 60/1024",
        "used memory block 3/8",
        "==7120== 24 bytes are lost in loss record 14 of 37",
        "GET /items?page=2/9 HTTP/1.1",
        "GET https://example.org/a?step=2/9",
        "Running attempt 2/5",
        "Loading, try 2 of 5",
        "spot savings while training: 72.4%",
        "[pool 3/5] red is busy",
        "hit rate of building 87%",
        "door-4 [45%]",
        "In:45.2% of the ink",
    ] {
        check(line, "-");
    }
}

#[test]
fn the_end_of_a_run_gives_its_status() {
    use TaskStatus::{Cancelled, Completed, Failed};
    for (line, expected) in [
        ("===== 4 passed in 0.04s =====", Some(Completed)),
        ("4 passed, 1 skipped in 62.10s (0:01:02)", Some(Completed)),
        ("=== 1 failed, 3 passed in 0.10s ===", Some(Failed)),
        ("=== 3 passed, 1 error in 0.10s ===", Some(Failed)),
        ("🎉 Training completed!", Some(Completed)),
        ("All done", Some(Completed)),
        ("✅ All tasks completed successfully!", Some(Completed)),
        ("Pipeline finished in 3m 2s", Some(Completed)),
        ("BUILD SUCCESSFUL in 3s", Some(Completed)),
        ("BUILD SUCCESS", Some(Completed)),
        ("Build succeeded.", Some(Completed)),
        ("BUILD FAILED in 3s", Some(Failed)),
        ("FAILURE: Build failed with an exception.", Some(Failed)),
        ("Resolving deltas: 100% (4120/4120), done.", Some(Completed)),
        ("FAILED: ink_mixer_test", Some(Failed)),
        ("FAILED: 2 stories", None),
        ("FAILED (failures=1)", Some(Failed)),
        ("2 errors in 0.31s", Some(Failed)),
        (
            "make: *** No rule to make target 'all'.  Stop.",
            Some(Failed),
        ),
        ("ninja: build stopped: subcommand failed.", Some(Failed)),
        ("ninja: build stopped: error reading deps", Some(Failed)),
        ("server terminated with code 3", Some(Failed)),
        ("Training done", Some(Completed)),
        ("make: *** [Makefile:3: all] Error 2", Some(Failed)),
        ("make: [Makefile:3: all] Error 2 (ignored)", None),
        (
            "COPY failed: stat /x: no such file or directory",
            Some(Failed),
        ),
        (
            "The command '/bin/sh -c npm ci' returned a non-zero code: 1",
            Some(Failed),
        ),
        (
            "Command did not exit successfully eval \"$x\" exit status 1",
            Some(Failed),
        ),
        ("Phase complete: BUILD State: FAILED", Some(Failed)),
        ("Phase complete: BUILD State: SUCCEEDED", None),
        ("error: process exited with code 1", Some(Failed)),
        ("Process completed with exit code 1.", Some(Failed)),
        ("deployer-1 exited with code 0", None),
        ("Command failed with exit code 1.", Some(Failed)),
        ("Request failed with status code 404", None),
        ("Finished: SUCCESS", Some(Completed)),
        ("Finished: ABORTED", Some(Cancelled)),
        (
            "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.",
            Some(Completed),
        ),
        (
            "deployment \"web\" successfully rolled out",
            Some(Completed),
        ),
        ("Done in 3.45s.", Some(Completed)),
        ("12 passed (5.3s)", Some(Completed)),
        ("12 passing (34ms)", Some(Completed)),
        ("1 failed", Some(Failed)),
        ("2 failing", Some(Failed)),
        ("12 passed", None),
        ("0 failed", None),
        (
            "web-1                      : ok=5    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0",
            Some(Completed),
        ),
        (
            "web-2 : ok=4 changed=1 unreachable=0 failed=1 skipped=0",
            Some(Failed),
        ),
        (
            "web-3 : ok=0 changed=0 unreachable=1 failed=0",
            Some(Failed),
        ),
        (
            "PLAY RECAP *********************************************************************",
            None,
        ),
        ("Tests  12 passed (12)", Some(Completed)),
        ("Tests  1 failed | 11 passed (12)", Some(Failed)),
        ("FAIL", Some(Failed)),
        (
            "error: could not compile `app` (lib) due to 2 previous errors",
            Some(Failed),
        ),
        ("FAIL: the disk is slow", None),
        ("❌ Failed: 2 stories", None),
        (
            "info \"fsevents@2.3.2\" is optional and failed compatibility check.",
            None,
        ),
        ("✅ Audio generated: output/story_audio.wav", None),
        ("Build completed on Mon Mar 2 06:11:40 UTC 2026", None),
        ("Step 3 completed", None),
        ("Traceback (most recent call last):", None),
        ("npm ERR! code ELIFECYCLE", None),
        (
            "Received response status [FAILED] from custom resource.",
            None,
        ),
    ] {
        assert_eq!(
            parse_sure(line).and_then(|found| found.status),
            expected,
            "{line:?}"
        );
    }
}

#[test]
fn a_first_step_starts_a_run() {
    for (line, expected) in [
        ("Step 1/10", true),
        ("Step 0/10", true),
        ("Step 2/10", false),
        ("Step 1/1", false),
        ("Progress: 0%", true),
        ("Progress: 1%", false),
        ("1/178 [====>.........]", false),
        ("Epoch 2/3 [1/100]", false),
    ] {
        assert_eq!(parse_sure(line).unwrap().is_start, expected, "{line:?}");
    }
}

#[test]
fn bars_have_many_styles() {
    let wide = "█".repeat(90);
    for (line, expected) in [
        (
            format!("⠄ [00:00:01] [{wide}] 41/60 (1s)").as_str(),
            "Bar 41/60",
        ),
        (r"[======\      ] 640/929  68%", "Bar 640/929 68%"),
        ("[======|] 929/929 100%", "Bar 929/929 100%"),
        (
            " 31.25% ::::::      |    25 /       80 |:  paint",
            "Bar 25/80 31%",
        ),
        ("Painting ████∙∙∙∙∙∙ 40%", "Percent 40%"),
        (
            "fetching ███░░ 12.4 MiB/47.6 MiB 26% 37.2 MiB/s",
            "Percent 26%",
        ),
        ("✓✓✓✓✓✓✓✓✓✓✓✓            [ 40%]", "Percent 40%"),
        ("a cellar            [ 40%]", "-"),
        ("memory 31.25% :::::: | 25 / 80 |", "-"),
        (
            "54.1 MiB / 114.3 MiB, 47%, 12.0 MiB/s, ETA 5s (xfr#24/33)",
            "Percent 47%",
        ),
        ("2/9 docs/map.md 12.31ms", "Item 2/9"),
        ("Merging ███░░░ 53      /      800", "Bar 53/800"),
        ("• • ✘ • •   (4 / 5)", "Bracket 4/5"),
        ("boats • • (4 / 5)", "-"),
        ("63.5% 0:00:07 + map.svg 200", "Percent 63%"),
        ("63.5% 07:07 + map.svg 200", "-"),
        ("PASS  test_sea:4 draws a map          17%", "Percent 17%"),
        ("PASS 17%", "-"),
        ("rate: 0.1-kpps, 30.00% done, waiting 0-secs", "Percent 30%"),
        ("zeroing the boat: 100% - Done.", "Percent 100%"),
        ("2/9 docs/map.md 12.31ms X", "Item 2/9"),
        ("2/9 boats 12.31ms", "-"),
        ("11/30 09:30 painted", "-"),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_percentage_without_a_word_may_count() {
    let share = |line: &str| match parse(line) {
        Some(Observation::Samples(found)) => {
            found.samples.iter().find(|sample| sample.is_share).copied()
        }
        _ => None,
    };
    for (one, other) in [
        ("14% 2:12=0s 4", "21% 3:11=0s 5"),
        ("    (3.12/100%)", "    (30.21/100%)"),
        (
            "Approx 5% complete for a.map",
            "Approx 10% complete for b.map",
        ),
        (
            "  5.3 %   2.1 MiB / 2.1 MiB = 0.985",
            "  58.8 %   23.5 MiB = 0.998   1.7 MiB/s",
        ),
        (
            "[7% of 40Mb] 100 blocks written",
            "[15% of 40Mb] 200 blocks written",
        ),
        (
            "pct rescued:   7%, read errors: 0",
            "pct rescued:  20%, read errors: 0",
        ),
    ] {
        let (one, other) = (share(one), share(other));
        assert!(one.is_some(), "{other:?}");
        assert_eq!(
            one.map(|sample| sample.template),
            other.map(|sample| sample.template)
        );
    }
    for line in [
        "62.4% <= 1.2 milliseconds (cumulative count 12484)",
        "/dev/sda1 10G 4G 40% /",
        "battery 40% charging",
        "brightness 40%",
    ] {
        assert_eq!(share(line), None, "{line}");
    }
}
